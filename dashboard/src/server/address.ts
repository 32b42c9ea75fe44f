/** Where the server is: one folder above the page, behind whatever prefix. */
const base = new URL("..", window.location.href.split("#")[0]);

export function address(path: string, params?: URLSearchParams): URL {
  const url = new URL(path.replace(/^\//, ""), base);
  if (params) url.search = params.toString();
  return url;
}
