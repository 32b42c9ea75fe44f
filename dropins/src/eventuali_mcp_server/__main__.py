"""`python -m eventuali_mcp_server` is the command `eventuali-mcp-server`."""

from eventuali_mcp_server.command import main

if __name__ == "__main__":
    main()
