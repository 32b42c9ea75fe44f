import hooks from "eslint-plugin-react-hooks";
import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

export default defineConfig(
  { ignores: ["node_modules"] },
  {
    files: ["**/*.{ts,tsx}"],
    extends: [tseslint.configs.strictTypeChecked, hooks.configs.flat.recommended],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      // A number in a text is written as one expects.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // A handler may be an expression whose value nobody takes.
      "@typescript-eslint/no-confusing-void-expression": "off",
      // What a view hands to long-lived listeners is kept in a ref that each render renews.
      "react-hooks/refs": "off",
    },
  },
);
