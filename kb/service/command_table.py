"""The commands and their options, for the client of the daemon. Made by ``make docs``: do not edit."""

# Of all that follows: a daemon refuses the commands of a kb with others.
DIGEST = "99b832fb"
GLOBAL_VALUED = frozenset(
    {
        "--color",
        "--config",
        "--found",
        "--server",
        "--set",
        "--store",
        "-s",
    }
)
GLOBAL_FLAGS = frozenset(
    {
        "--debug",
        "--offline",
        "--version",
    }
)
# The options of all commands together.
VALUED = frozenset(
    {
        "--compare",
        "--context",
        "--folder",
        "--format",
        "--keep",
        "--lang",
        "--limit",
        "--log",
        "--min-score",
        "--mode",
        "--model",
        "--path",
        "--per-file",
        "--port",
        "--questions",
        "--report",
        "--save",
        "--seconds",
        "--seed",
        "--since",
        "--sort",
        "--spans",
        "--tag",
        "--timeout",
        "--title",
        "--type",
        "--until",
        "-C",
        "-n",
    }
)
LEADING = frozenset(
    {
        "-m",
    }
)
FLAGS = frozenset(
    {
        "--accept-deletions",
        "--add",
        "--all",
        "--background",
        "--broken",
        "--distrust",
        "--dry-run",
        "--explain",
        "--file",
        "--files-with-matches",
        "--fix",
        "--force",
        "--full",
        "--here",
        "--incremental",
        "--install-service",
        "--int8",
        "--json",
        "--l2",
        "--literal",
        "--long",
        "--new",
        "--no-daemon",
        "--no-llm",
        "--no-vectors",
        "--null",
        "--once",
        "--per-query",
        "--poll",
        "--print",
        "--privacy",
        "--problems",
        "--quiet",
        "--remove",
        "--repair",
        "--require-fresh",
        "--self",
        "--show-prompt",
        "--sources",
        "--status",
        "--stop",
        "--take-over",
        "--trust",
        "--trusted",
        "--use",
        "--user",
        "--vectors",
        "--verbose",
        "--verify",
        "--wait",
        "--weak",
        "--write",
        "-0",
        "-l",
        "-q",
        "-v",
    }
)
# An option whose value may be left out: what follows is its value only if it is one of these.
OPTIONAL = {
    "--http": frozenset({"127.0.0.1:7420"}),
    "--rerank": frozenset({"colbert", "cross-encoder", "lexical", "off"}),
}
# Commands that always run in the process of the caller.
LOCAL = frozenset(
    {
        "bench",
        "chat",
        "completion",
        "config",
        "doctor",
        "init",
        "mcp",
        "model",
        "open",
        "restore",
        "skill",
        "token",
        "watch",
        "web",
    }
)
# Commands that can ask another machine.
REMOTE = frozenset(
    {
        "ask",
        "links",
        "list",
        "search",
        "show",
        "similar",
        "status",
        "tags",
    }
)
SHORT_HELP = {
    "init": "Write a configuration for a folder.",
    "config": "Show the configuration in effect.",
    "index": "Update the index from the folders.",
    "search": "Find the passages nearest to a question.",
    "ask": "Answer in sentences of your files, with their sources.",
    "chat": "Ask questions and follow-up questions.",
    "similar": "Find passages similar to a file.",
    "open": "Open a hit of the last search.",
    "show": "Show the passages of a file.",
    "list": "List the indexed files.",
    "tags": "List the tags in use.",
    "links": "Show the links from and to a file.",
    "status": "Show what is indexed and what is not.",
    "doctor": "Check everything kb depends on.",
    "note": "Write a note and index it.",
    "check": "Check files, catalog and vectors against each other.",
    "rebuild": "Rebuild the vector index.",
    "backup": "Back up catalog and vectors, or check a backup.",
    "restore": "Restore a backup into the store.",
    "export": "Write passages for other tools, or vectors for another machine.",
    "import": "Bring in vectors that another machine computed.",
    "eval": "Measure search quality on known questions.",
    "watch": "Keep the index up to date and answer at once.",
    "sync": "Wait until every change on disk is indexed.",
    "web": "Open a page to find, read and write in the browser.",
    "mcp": "Answer agents, over the Model Context Protocol.",
    "skill": "Teach agents to ask kb from a shell.",
    "token": "Print the token that programs need.",
    "bench": "Benchmark kb on your own notes and model.",
    "model": "List, download, verify and export embedding models.",
    "completion": "Print a shell completion script.",
}
