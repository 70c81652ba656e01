/*
 * The search index. A token is "<user>_<term>": the user's number in base 36 has no underscore, so
 * the first one ends it. A thread's token is "<user>_@<thread>": terms never hold an '@'.
 */
#include "store/sqlite/sqlite.h"

#include "base/error.h"

static void put_base36(struct mc_buf *out, int64_t number)
{
    char digits[16];
    size_t at = sizeof(digits);
    uint64_t rest = (uint64_t)number;
    do {
        digits[--at] = "0123456789abcdefghijklmnopqrstuvwxyz"[rest % 36];
        rest /= 36;
    } while (rest > 0);
    mc_buf_append(out, (mc_str){digits + at, sizeof(digits) - at});
}

/*
 * What the tokenizer of the index keeps in one piece, upper case aside. Anything else becomes '_'
 * on the way in and in queries alike, so every term is one token and none can leave its quotes.
 */
static char token_char(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c + ('a' - 'A'));
    bool kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == ':' ||
                c == '#' || c == '.' || c == '-' || (unsigned char)c >= 0x80;
    return kept ? c : '_';
}

void mc_fts_token(struct mc_buf *out, int64_t user_no, mc_str term)
{
    char text[MC_FTS_TOKEN_MAX];
    size_t len = term.len < sizeof(text) ? term.len : sizeof(text);
    for (size_t i = 0; i < len; i++)
        text[i] = token_char(term.data[i]);
    put_base36(out, user_no);
    mc_buf_char(out, '_');
    mc_buf_append(out, (mc_str){text, len});
}

void mc_fts_thread_token(struct mc_buf *out, int64_t user_no, int64_t thread_no)
{
    put_base36(out, user_no);
    mc_buf_text(out, "_@");
    put_base36(out, thread_no);
}

enum mc_status mc_fts_change(struct mc_conn *conn, bool add, int64_t row, int64_t user_no,
                             int64_t thread_no, mc_str terms, struct mc_error *err)
{
    struct mc_buf *text = &conn->scratch;
    mc_buf_reset(text);
    mc_fts_thread_token(text, user_no, thread_no);
    for (size_t at = 0; at < terms.len;) {
        const char *start = terms.data + at;
        const char *space = memchr(start, ' ', terms.len - at);
        size_t len = space ? (size_t)(space - start) : terms.len - at;
        if (len > 0) {
            mc_buf_char(text, ' ');
            mc_fts_token(text, user_no, (mc_str){start, len});
        }
        at += len + 1;
    }
    if (text->failed) {
        conn->broken = true;
        return mc_fail(err, MC_TOO_LARGE, "message row %" PRId64 " has too many index terms", row);
    }
    const struct mc_bind *binds = MC_BINDS(mc_bind_int(row), mc_bind_str(mc_buf_str(text)));
    if (add)
        return mc_conn_exec(conn, "INSERT INTO messages_fts(rowid, terms) VALUES(?1, ?2)", binds,
                            err);
    return mc_conn_exec(
        conn, "INSERT INTO messages_fts(messages_fts, rowid, terms) VALUES('delete', ?1, ?2)",
        binds, err);
}
