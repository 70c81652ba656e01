#include "cli/commands.h"

#include "base/compiler.h"
#include "base/str.h"

#define ROW(name, argument, range, help, type, letter, required, repeat, hidden)                   \
    {                                                                                              \
        name, argument, range, help, type, letter, required, repeat, hidden                        \
    }
#define FLAG(name, letter, help) ROW(name, NULL, NULL, help, MC_CLI_FLAG, letter, 0, 0, 0)
#define TEXT(name, argument, help) ROW(name, argument, NULL, help, MC_CLI_TEXT, 0, 0, 0, 0)
#define LIST(name, argument, help) ROW(name, argument, NULL, help, MC_CLI_TEXT, 0, 0, 1, 0)
#define NEEDED(name, argument, help) ROW(name, argument, NULL, help, MC_CLI_TEXT, 0, 1, 0, 0)
#define INTEGER(name, range, help) ROW(name, "N", range, help, MC_CLI_INTEGER, 0, 0, 0, 0)
#define NUMBER(name, range, help) ROW(name, "X", range, help, MC_CLI_NUMBER, 0, 0, 0, 0)
#define WHEN(name, help) ROW(name, "TIME", NULL, help, MC_CLI_TIME, 0, 0, 0, 0)
#define CHOICE(name, argument, range, help)                                                        \
    ROW(name, argument, range, help, MC_CLI_CHOICE, 0, 0, 0, 0)
#define HIDDEN(name, type, argument) ROW(name, argument, NULL, "for tests", type, 0, 0, 0, 1)
#define END ROW(NULL, NULL, NULL, NULL, MC_CLI_FLAG, 0, 0, 0, 0)

#define USER NEEDED("user", "ID", "the user")
#define THREAD NEEDED("thread", "ID", "the thread of the conversation")
#define READER TEXT("agent", "ID", "the reading agent, where agents are enabled")
#define VISIBILITY CHOICE("visibility", "WHO", "private|shared|public", "which agents may read it")

#define OPTIONS(name) static const struct mc_cli_option name[]
#define EXAMPLES(name) static const char *const name[]

OPTIONS(common) = {
    {"config", "FILE", NULL, "configuration file (else MINDCORE_CONFIG)", MC_CLI_TEXT, 'c', false,
     false, false},
    TEXT("db", "URL", "database: sqlite:PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME"),
    {"option", "KEY=VALUE", NULL, "sets any option of the configuration", MC_CLI_TEXT, 'o', false,
     true, false},
    FLAG("json", 'j', "print the result as JSON"),
    FLAG("verbose", 'v', "log to standard error; twice for more"),
    FLAG("quiet", 'q', "no remarks and no progress bar"),
    FLAG("help", 'h', "help on the command"),
    FLAG("version", 'V', "version of the program"),
    END,
};

OPTIONS(serve_options) = {
    TEXT("listen", "HOST:PORT", "address to listen on (server.listen)"),
    END,
};
EXAMPLES(serve_examples) = {
    "mindcore serve",
    "mindcore serve --listen 127.0.0.1:9000 --db sqlite:/var/lib/mindcore/memory.db",
    NULL,
};

OPTIONS(ingest_options) = {
    TEXT("user", "ID", "the user"),
    TEXT("thread", "ID", "the thread of the conversation"),
    TEXT("session", "ID", "the session"),
    CHOICE("role", "ROLE", "user|assistant|system|tool", "who speaks"),
    TEXT("text", "TEXT", "what is said"),
    TEXT("message-id", "ID", "an id of your own; makes a retry harmless"),
    TEXT("agent", "ID", "the agent that writes"),
    VISIBILITY,
    LIST("group", "NAME", "a sharing group"),
    WHEN("created-at", "when it was said; now when not given"),
    TEXT("metadata", "JSON", "an object of your own, kept with the message"),
    FLAG("no-wait", 0, "do not wait up to 30 seconds for the enrichment"),
    END,
};
EXAMPLES(ingest_examples) = {
    "mindcore ingest --user ann --thread t1 --session s1 --role user --text 'Where is order A-17?'",
    "mindcore ingest conversation.jsonl",
    "grep ann conversation.jsonl | mindcore ingest",
    NULL,
};

OPTIONS(context_options) = {
    USER,
    THREAD,
    {"query", "TEXT", NULL, "what the agent is asked now", MC_CLI_TEXT, 'Q', false, false, false},
    CHOICE("mode", "MODE", "auto|fast|llm", "with or without a model"),
    INTEGER("max-messages", "1..1000", "at most so many messages"),
    INTEGER("max-tokens", "1..1000000", "at most so many tokens"),
    READER,
    LIST("from-agent", "ID", "only messages of this agent"),
    FLAG("exclude-shared", 0, "leave out what other agents share"),
    FLAG("exclude-public", 0, "leave out what other agents publish"),
    TEXT("additional-context", "TEXT", "your own text, placed first"),
    WHEN("now", "the time to work at, for results that can be repeated"),
    FLAG("explain", 'e', "say for each part why it is there"),
    END,
};
EXAMPLES(context_examples) = {
    "mindcore context --user ann --thread t1 'When will my order arrive?' --explain",
    NULL,
};

OPTIONS(search_options) = {
    USER,
    {"query", "WORDS", NULL, "words, any of which may match", MC_CLI_TEXT, 'Q', false, false,
     false},
    LIST("topic", "NAME", "a topic, any of those given"),
    LIST("category", "NAME", "a category, any of those given"),
    TEXT("intent", "NAME", "an intent"),
    TEXT("thread", "ID", "only this thread"),
    WHEN("since", "not before"),
    WHEN("until", "before"),
    INTEGER("limit", "1..1000", "at most so many hits, 20 when not given"),
    FLAG("explain", 0,
         "tell of each hit why it was found: the features of its score and their shares"),
    READER,
    END,
};
EXAMPLES(search_examples) = {
    "mindcore search --user ann refund",
    "mindcore search --user ann --topic billing --since 30d",
    NULL,
};

OPTIONS(message_options) = {
    TEXT("agent", "ID", "the agent that reads or deletes, where agents are enabled"),
    END,
};

OPTIONS(recent_options) = {
    USER,
    THREAD,
    INTEGER("limit", "1..1000", "at most so many messages, 20 when not given"),
    TEXT("before", "ID", "only messages older than this one"),
    READER,
    END,
};
OPTIONS(window_options) = {
    USER,
    THREAD,
    INTEGER("max-messages", "1..1000", "at most so many messages"),
    INTEGER("max-tokens", "1..1000000", "at most so many tokens"),
    NUMBER("min-importance", "0..1", "leave out what has become less important"),
    READER,
    END,
};

OPTIONS(status_options) = {
    FLAG("watch", 'w', "show it again and again until interrupted"),
    NUMBER("interval", "0.1..3600", "seconds between two looks with --watch, 2 when not given"),
    END,
};
EXAMPLES(status_examples) = {"mindcore status --watch", NULL};

OPTIONS(queue_list_options) = {
    INTEGER("limit", "0..1000", "at most so many dead jobs, 20 when not given"),
    END,
};
OPTIONS(queue_retry_options) = {
    TEXT("message", "ID", "only the job of this message"),
    END,
};
OPTIONS(migrate_options) = {
    TEXT("user", "ID", "only this user"),
    FLAG("dry-run", 'n', "say what would be done, change nothing"),
    END,
};
OPTIONS(undo_options) = {
    INTEGER("run", "1..1000000000000", "this run and all later ones; the last one when not given"),
    FLAG("dry-run", 'n', "say what would be done, change nothing"),
    END,
};
OPTIONS(invalidate_options) = {
    TEXT("topic", "NAME", "threads about this topic"),
    NUMBER("max-age", "0..1000000000", "threads not used for so many seconds"),
    TEXT("user", "ID", "threads of this user"),
    TEXT("thread", "ID", "with --user: only this thread"),
    FLAG("all", 0, "every thread"),
    END,
};
EXAMPLES(invalidate_examples) = {
    "mindcore cache invalidate --topic billing",
    "mindcore cache invalidate --max-age 3600",
    NULL,
};

OPTIONS(agent_register_options) = {
    NEEDED("agent", "ID", "the agent"),
    NEEDED("name", "TEXT", "its name for people"),
    TEXT("description", "TEXT", "what it does"),
    LIST("group", "NAME", "a sharing group that it belongs to"),
    CHOICE("visibility", "WHO", "private|shared|public",
           "visibility of its messages where a message says none"),
    FLAG("no-read-public", 0, "it may not read public messages of others"),
    FLAG("write-public", 0, "it may publish"),
    TEXT("metadata", "JSON", "an object of your own"),
    END,
};
EXAMPLES(agent_register_examples) = {
    "mindcore agents register --agent billing --name 'Billing desk' --group support",
    NULL,
};

OPTIONS(key_create_options) = {
    NEEDED("name", "TEXT", "what it is for"),
    {"scope", "SCOPE", "read|write|admin", "what it may do; admin includes the others",
     MC_CLI_CHOICE, 0, true, true, false},
    LIST("user", "ID", "a user that it may act for; not given: any"),
    LIST("agent", "ID", "an agent that it may speak as; not given: any, and none"),
    NUMBER("rate-limit", "0..1000000", "requests a second (server.rate_limit)"),
    INTEGER("days", "1..36500", "it expires after so many days; never when not given"),
    END,
};
EXAMPLES(key_create_examples) = {
    "mindcore keys create --name web --scope read --scope write",
    "mindcore keys create --name ann-phone --scope read --scope write --user ann --days 90",
    NULL,
};

OPTIONS(user_options) = {USER, END};
OPTIONS(preference_set_options) = {
    USER,
    TEXT("field", "NAME",
         "language, timezone, communication_style, interests, goals, "
         "preferred_name, or a field of your own under custom"),
    TEXT("value", "VALUE", "JSON; what is not JSON is taken as text"),
    CHOICE("action", "ACTION", "set|add|remove|clear", "how the field changes, set by default"),
    TEXT("patch", "JSON", "an object of fields to change together; null clears a field"),
    END,
};
EXAMPLES(preference_set_examples) = {
    "mindcore preferences set --user ann --field language --value de",
    "mindcore preferences set --user ann --field interests --value hiking --action add",
    NULL,
};

OPTIONS(export_options) = {
    TEXT("user", "ID", "everything kept of this user"),
    FLAG("all", 0, "everything kept of every user"),
    READER,
    TEXT("output", "FILE", "a new file to write; standard output when not given"),
    END,
};
EXAMPLES(export_examples) = {
    "mindcore export --user ann > ann.ndjson",
    "mindcore export --all --output everything.ndjson",
    NULL,
};
EXAMPLES(import_examples) = {
    "mindcore import everything.ndjson --db sqlite:new.db",
    "mindcore export --user ann | mindcore import - --db sqlite:other.db",
    NULL,
};
OPTIONS(import_options) = {
    FLAG("no-wait", 0, "do not wait up to 30 seconds for the enrichment"),
    END,
};
OPTIONS(erase_options) = {
    USER,
    FLAG("yes", 'y', "do not ask"),
    END,
};

OPTIONS(partition_options) = {
    {"shards", "N", "2..256", "number of partitions of each table, best a power of two",
     MC_CLI_INTEGER, 0, true, false, false},
    END,
};
EXAMPLES(partition_examples) = {
    "mindcore db partition --shards 16 --db postgresql://mind@db.example/mindcore",
    NULL,
};

OPTIONS(restore_options) = {
    FLAG("force", 0, "replace a database that holds data; it is kept under another name"),
    END,
};
EXAMPLES(restore_examples) = {
    "mindcore restore backup.db --db sqlite:mindcore.db",
    "mindcore restore backup.db --force",
    NULL,
};

OPTIONS(models_options) = {
    FLAG("check", 0, "ask each model a small question, and say what to do where none answers"),
    FLAG("usage", 0, "what models were asked: calls, tokens and cost by day, operation and model"),
    WHEN("since", "with --usage, the first day, 29 days before the last one when not given"),
    WHEN("until", "with --usage, the last day, today when not given"),
    END,
};
EXAMPLES(models_examples) = {
    "mindcore models",
    "mindcore models --check",
    "mindcore models --usage --since 2026-11-01 --until 2026-11-30",
    NULL,
};

OPTIONS(db_copy_options) = {
    {"from", "URL", NULL, "the source: sqlite:PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME",
     MC_CLI_TEXT, 0, true, false, false},
    {"to", "URL", NULL, "the target, in the same form: an empty database, or a copy of the source",
     MC_CLI_TEXT, 0, true, false, false},
    END,
};
EXAMPLES(db_copy_examples) = {"mindcore db copy --from sqlite:mindcore.db --to "
                              "postgresql://mindcore_user@db.example/mindcore",
                              NULL};
OPTIONS(load_options) = {
    {"profile", "LEVEL", "hobbyist|small|medium|high",
     "level of the tuning guide: 1,000, 10,000, 50,000 or 100,000 messages a day", MC_CLI_CHOICE, 0,
     true, false, false},
    TEXT("duration", "TIME", "how long, 1s to 24h, as in 90s, 5m, 1h; 60s when not given"),
    NUMBER("times", "0.01..10000", "so many times the load of the level, 1 when not given"),
    TEXT("url", "URL", "drive the server there and not the engine in this process"),
    TEXT("api-key", "KEY",
         "with --url: the server's key, of scope admin or with --keep read and write"),
    TEXT("ca-file", "FILE", "with --url https://...: further certificates to trust"),
    TEXT("agent", "ID", "the agent that writes and reads, where agents are enabled"),
    INTEGER("clients", "1..256", "threads that send, 16 when not given"),
    INTEGER("seed", "0..9007199254740991", "repeat the conversations of an earlier run"),
    FLAG("keep", 0, "leave the users of the test in the database"),
    END,
};
EXAMPLES(load_examples) = {
    "mindcore loadtest --profile small",
    "mindcore loadtest --profile high --times 10 --duration 5m --db "
    "postgresql://mind@db.example/mindcore",
    "mindcore loadtest --profile medium --url https://mind.example --api-key KEY",
    NULL,
};
OPTIONS(crash_options) = {
    INTEGER("kills", "1..1000000", "how often the writer is killed, 100 when not given"),
    INTEGER("threads", "1..64", "threads that write at the same time, 4 when not given"),
    INTEGER("workers", "1..16", "enrichment workers, 2 when not given"),
    TEXT("dir", "DIR", "an empty or new folder to work in; a temporary one when not given"),
    CHOICE("synchronous", "HOW", "normal|full", "durability of a commit"),
    INTEGER("seed", "0..9007199254740991", "repeat the choices of an earlier run"),
    FLAG("batch", 0, "write batches only"),
    FLAG("kill-database", 0, "kill a PostgreSQL server instead, while the writer runs"),
    TEXT("restart-command", "COMMAND", "kills and starts the server of --db, for --kill-database"),
    FLAG("force", 0, "use the database of --db though it holds users"),
    {"sabotage", "HOW", "drop-ack|alter-ack", "a writer that lies, for tests", MC_CLI_CHOICE, 0,
     false, false, true},
    END,
};
EXAMPLES(bench_examples) = {"mindcore bench recall locomo10.json", NULL};
EXAMPLES(crash_examples) = {"mindcore crashtest --kills 1000",
                            "mindcore crashtest --kill-database --kills 20", NULL};
OPTIONS(crash_writer_options) = {
    HIDDEN("threads", MC_CLI_INTEGER, "N"), HIDDEN("seed", MC_CLI_INTEGER, "N"),
    HIDDEN("run", MC_CLI_INTEGER, "N"),     HIDDEN("again", MC_CLI_TEXT, "LIST"),
    HIDDEN("batch", MC_CLI_FLAG, NULL),     HIDDEN("patient", MC_CLI_FLAG, NULL),
    HIDDEN("sabotage", MC_CLI_TEXT, "HOW"), END,
};
OPTIONS(crash_verify_options) = {
    HIDDEN("acknowledged", MC_CLI_TEXT, "FILE"), HIDDEN("seed", MC_CLI_INTEGER, "N"),
    HIDDEN("prepare", MC_CLI_FLAG, NULL),        HIDDEN("force", MC_CLI_FLAG, NULL),
    HIDDEN("erase", MC_CLI_FLAG, NULL),          END,
};
OPTIONS(help_options) = {
    FLAG("markdown", 0, "the text of docs/cli.md"),
    END,
};

#define NO_OPERAND NULL, 0, 0
#define NOTHING MC_CLI_NEEDS_NOTHING
#define CONFIG MC_CLI_NEEDS_CONFIG
#define ENGINE MC_CLI_NEEDS_ENGINE
#define DATABASE MC_CLI_NEEDS_DATABASE
#define FALLBACK MC_CLI_FALLBACK
#define HIDDEN_COMMAND MC_CLI_HIDDEN
#define AUDITED MC_CLI_AUDITED
#define ANY_WORDS 1000

static const struct mc_cli_command commands[] = {
    {"serve", "Serve the HTTP interface and the dashboard",
     "Prints the address when it is ready and logs to standard error. SIGTERM and SIGINT end it in "
     "order: requests in hand are answered, workers finish or release their jobs; a second signal "
     "ends it at once.",
     NO_OPERAND, serve_options, serve_examples, mc_cli_serve, NOTHING, 0},
    {"ingest", "Store messages",
     "One message from options, or many from a file (standard input when none is named): one JSON "
     "object a line with the fields of POST /v1/messages. A line that is refused is named with its "
     "number and does not hinder the others; the exit status is then 1.",
     "FILE", 0, 1, ingest_options, ingest_examples, mc_cli_ingest, ENGINE, 0},
    {"context", "Assemble what an agent needs to know now", NULL, "TEXT", 0, ANY_WORDS,
     context_options, context_examples, mc_cli_context, DATABASE, 0},
    {"search", "Search in a user's messages", NULL, "WORDS", 0, ANY_WORDS, search_options,
     search_examples, mc_cli_search, DATABASE, 0},
    {"recent", "Show the newest messages of a thread",
     "People read them oldest first; --json has them newest first, as over HTTP.", NO_OPERAND,
     recent_options, NULL, mc_cli_recent, DATABASE, 0},
    {"window", "Show the newest messages of a thread that fit a budget", NULL, NO_OPERAND,
     window_options, NULL, mc_cli_window, DATABASE, 0},
    {"messages get", "Show one message with what enrichment found in it", NULL, "ID", 1, 1,
     message_options, NULL, mc_cli_messages_get, DATABASE, 0},
    {"messages delete", "Delete one message, and the summaries that may tell of it",
     "It cannot be undone. Where agents are enabled only the agent that wrote a message may delete "
     "it.",
     "ID", 1, 1, message_options, NULL, mc_cli_messages_delete, DATABASE, AUDITED},
    {"status", "Show what is stored and how it is going", NULL, NO_OPERAND, status_options,
     status_examples, mc_cli_status, DATABASE, 0},
    {"workers", "Show the health and the counts of the enrichment workers",
     "The workers are those of this run; ask the server at /v1/workers/health for its own.",
     NO_OPERAND, NULL, NULL, mc_cli_workers, DATABASE, 0},
    {"queue list", "Show the depth of the queue and its dead jobs", NULL, NO_OPERAND,
     queue_list_options, NULL, mc_cli_queue_list, DATABASE, FALLBACK},
    {"queue retry", "Make dead jobs ready again", NULL, NO_OPERAND, queue_retry_options, NULL,
     mc_cli_queue_retry, DATABASE, AUDITED},
    {"queue purge", "Remove dead jobs for good; their messages stay as they are", NULL, NO_OPERAND,
     NULL, NULL, mc_cli_queue_purge, DATABASE, AUDITED},
    {"tiers migrate", "Move messages between tiers, summarise, delete what is due", NULL,
     NO_OPERAND, migrate_options, NULL, mc_cli_tiers_migrate, DATABASE, AUDITED},
    {"tiers runs", "List the tier migrations that can be undone", NULL, NO_OPERAND, NULL, NULL,
     mc_cli_tiers_runs, DATABASE, 0},
    {"tiers undo", "Undo the last tier migration, or one and all after it",
     "Deleted messages are as they were, moved ones in the tier that they came from, compressed "
     "ones are found by their words again; summaries stay. retention.undo_days says for how long. "
     "The schedule waits for its next time, and then does it again unless the options have "
     "changed.",
     NO_OPERAND, undo_options, NULL, mc_cli_tiers_undo, DATABASE, AUDITED},
    {"cache stats", "Show what the cache holds and how often it answers", NULL, NO_OPERAND, NULL,
     NULL, mc_cli_cache_stats, DATABASE, FALLBACK},
    {"cache invalidate", "Drop cached threads; stored messages are not touched", NULL, NO_OPERAND,
     invalidate_options, invalidate_examples, mc_cli_cache_invalidate, DATABASE, AUDITED},
    {"keys list", "List the API keys and what each may do", NULL, NO_OPERAND, NULL, NULL,
     mc_cli_keys_list, DATABASE, FALLBACK},
    {"keys create", "Make an API key and print it, once",
     "The database keeps only its hash. Servers over the database take it within a second; from "
     "the "
     "first key on they ask every request for one.",
     NO_OPERAND, key_create_options, key_create_examples, mc_cli_keys_create, ENGINE, AUDITED},
    {"keys revoke", "Revoke an API key", NULL, "ID", 1, 1, NULL, NULL, mc_cli_keys_revoke, DATABASE,
     AUDITED},
    {"agents list", "List the agents", NULL, NO_OPERAND, NULL, NULL, mc_cli_agents_list, DATABASE,
     FALLBACK},
    {"agents get", "Show one agent", NULL, "ID", 1, 1, NULL, NULL, mc_cli_agents_get, DATABASE, 0},
    {"agents register", "Register an agent, or replace what was said of it", NULL, NO_OPERAND,
     agent_register_options, agent_register_examples, mc_cli_agents_register, ENGINE, AUDITED},
    {"agents unregister", "Forget an agent; its messages stay", NULL, "ID", 1, 1, NULL, NULL,
     mc_cli_agents_unregister, DATABASE, AUDITED},
    {"agents stats", "Count messages by agent and visibility", NULL, NO_OPERAND, NULL, NULL,
     mc_cli_agents_stats, DATABASE, 0},
    {"preferences get", "Show a user's preferences", NULL, NO_OPERAND, user_options, NULL,
     mc_cli_preferences_get, DATABASE, FALLBACK},
    {"preferences set", "Change a user's preferences", NULL, NO_OPERAND, preference_set_options,
     preference_set_examples, mc_cli_preferences_set, ENGINE, 0},
    {"preferences signals", "Show what was learned from a user's messages", NULL, NO_OPERAND,
     user_options, NULL, mc_cli_preferences_signals, DATABASE, 0},
    {"preferences apply", "Apply the learned signals that passed the thresholds", NULL, NO_OPERAND,
     user_options, NULL, mc_cli_preferences_apply, DATABASE, 0},
    {"export", "Write everything kept of a user, one JSON object a line", NULL, NO_OPERAND,
     export_options, export_examples, mc_cli_export, DATABASE, AUDITED},
    {"import", "Read what export wrote",
     "Messages keep their ids, so that importing a file again changes nothing. Summaries are made "
     "anew by 'mindcore tiers migrate', signals are learned anew from the messages.",
     "FILE", 1, 1, import_options, import_examples, mc_cli_import, ENGINE, AUDITED},
    {"erase", "Erase a user everywhere and print the receipt", NULL, NO_OPERAND, erase_options,
     NULL, mc_cli_erase, DATABASE, AUDITED},
    {"backup", "Copy the database into a new file while it is in use", NULL, "FILE", 1, 1, NULL,
     NULL, mc_cli_backup, DATABASE, 0},
    {"restore", "Put a file that backup wrote in the place of the database",
     "Stop the server first. The file is copied next to the database, checked in full, and takes "
     "its place in one step; until then the database is as it was, whatever happens. One that "
     "holds "
     "data is only replaced with --force, and kept as NAME.before-restore-TIME.",
     "FILE", 1, 1, restore_options, restore_examples, mc_cli_restore, CONFIG, AUDITED},
    {"db partition", "Make the tables of an empty PostgreSQL database in partitions",
     "Each table of data is partitioned by hash of its shard, which is made of the user's id, so "
     "that every question about a user looks into one partition. All else stays the same, and what "
     "later versions add is partitioned alike. A database that is in use is not changed: make an "
     "empty one and copy into it with 'mindcore db copy'.",
     NO_OPERAND, partition_options, partition_examples, mc_cli_db_partition, CONFIG, 0},
    {"doctor", "Check the installation and the database",
     "The exit status is 1 when a check fails; each says what to do.", NO_OPERAND, NULL, NULL,
     mc_cli_doctor, NOTHING, 0},
    {"models", "Show what can enrich, why not the others, and what models were asked",
     "Shows the models that the configuration names as this run sees them, and today's calls and "
     "cost of all runs. It loads no model and asks none, unless --check is given: the question is "
     "counted as operation check, and costs what it costs. Ask a server at /v1/models for the "
     "state of its own.",
     NO_OPERAND, models_options, models_examples, mc_cli_models, DATABASE, 0},
    {"config show", "Show every option in force and where it came from", NULL, NO_OPERAND, NULL,
     NULL, mc_cli_config_show, CONFIG, FALLBACK},
    {"config check", "Check a configuration file", NULL, "FILE", 0, 1, NULL, NULL,
     mc_cli_config_check, NOTHING, 0},
    {"config sample", "Write a commented sample file", NULL, NO_OPERAND, NULL, NULL,
     mc_cli_config_sample, NOTHING, 0},
    {"config docs", "Write the list of options as Markdown", NULL, NO_OPERAND, NULL, NULL,
     mc_cli_config_docs, NOTHING, 0},
    {"db copy", "Copy everything into another database, of the same or another kind",
     "Stop what writes to the source first; it is only read. The target must be empty. Interrupted "
     "for "
     "whatever reason, the same command goes on where it was; later, it takes over what is new. At "
     "the "
     "end every table is compared with the source. The exit status is 1 when the source was "
     "changed "
     "meanwhile. See docs/postgresql.md.",
     NO_OPERAND, db_copy_options, db_copy_examples, mc_cli_db_copy, NOTHING, 0},
    {"loadtest", "Drive the load of a busy hour and say what to tune",
     "Conversations of made-up users in real time: messages, contexts before answers, searches, "
     "newest "
     "messages. The rate is that of the busiest hour of the level's day; nothing waits for an "
     "answer, and latencies count from when an operation was due. Afterwards: rates, latencies, "
     "queue, "
     "memory, errors, and the tuning guide's checklist with what to change. Without --db and "
     "--url the database is a temporary one. The users are named loadtest-... and removed at the "
     "end. "
     "Interrupted, it reports what was measured so far. The exit status is 1 when an operation or "
     "a "
     "check failed; a warning does not count. See docs/loadtest.md.",
     NO_OPERAND, load_options, load_examples, mc_cli_loadtest, NOTHING, 0},
    {"crashtest", "Kill a writer again and again and check that nothing is lost",
     "Starts a process that writes from several threads, kills it with SIGKILL at random instants, "
     "and checks that each acknowledged message exists once with its content, that each job is "
     "finished or waiting, and that the database is sound. After a failure the folder stays for "
     "inspection. The database is a SQLite file of its own. With --db postgresql://... it is that "
     "one, "
     "which must be empty, or --force; what the test has written there is erased again, unless it "
     "failed. "
     "With --kill-database the writer goes on and the database server is killed: one that is made "
     "for the "
     "test in a temporary folder, or that of --db by --restart-command.",
     NO_OPERAND, crash_options, crash_examples, mc_cli_crashtest, NOTHING, 0},
    {"bench recall", "Measure how well questions find the turns that answer them",
     "DATA is a JSON array of conversations with questions in the form of the LoCoMo data set. "
     "They are stored in a file of their own that goes away (with database.backend postgresql in "
     "the configured database, which must be empty and is emptied again), the questions are asked "
     "through search and context as an application would. R@k is the share of the evidence among "
     "the first k "
     "hits, MRR the mean of 1 / rank of the first, in context the share of the evidence that a "
     "context of the default size shows.",
     "DATA", 1, 1, NULL, bench_examples, mc_cli_bench_recall, NOTHING, 0},
    {"crash-writer", "The process that crashtest kills", NULL, NO_OPERAND, crash_writer_options,
     NULL, mc_cli_crash_writer, ENGINE, HIDDEN_COMMAND},
    {"crash-verify", "The process that checks for crashtest", NULL, NO_OPERAND,
     crash_verify_options, NULL, mc_cli_crash_verify, ENGINE, HIDDEN_COMMAND},
    {"version", "Show the version of the program and of its libraries", NULL, NO_OPERAND, NULL,
     NULL, mc_cli_version, NOTHING, 0},
    {"help", "Show help on a command", NULL, "COMMAND", 0, 2, help_options, NULL, mc_cli_help,
     NOTHING, 0},
    {"completion", "Write the completion script of a shell", NULL, "bash", 1, 1, NULL, NULL,
     mc_cli_completion, NOTHING, 0},
};

const struct mc_cli_command *mc_cli_command_at(size_t index)
{
    return index < mc_countof(commands) ? &commands[index] : NULL;
}

const struct mc_cli_command *mc_cli_command_find(mc_str name)
{
    for (size_t i = 0; i < mc_countof(commands); i++) {
        if (mc_str_equal(mc_str_of(commands[i].name), name))
            return &commands[i];
    }
    return NULL;
}

mc_str mc_cli_family_of(const struct mc_cli_command *command)
{
    mc_str rest = mc_str_of(command->name);
    mc_str family;
    mc_str_split(&rest, ' ', &family);
    return family;
}

bool mc_cli_family_exists(mc_str name)
{
    for (size_t i = 0; i < mc_countof(commands); i++) {
        mc_str family = mc_cli_family_of(&commands[i]);
        if (family.len < strlen(commands[i].name) && mc_str_equal(family, name))
            return true;
    }
    return false;
}

const struct mc_cli_option *mc_cli_common_options(void)
{
    return common;
}
