/* Strings by value, and the names of the enumerations. */
#include "tap.h"

#include <float.h>
#include <limits.h>
#include <mindcore/memory.h>

#include "base/str.h"

static void test_compare(void)
{
    ok(mc_str_equal(MC_STR_NONE, MC_STR("")), "absent equals empty");
    ok(!mc_str_equal(MC_STR("a"), MC_STR("ab")), "a prefix is not equal");
    ok(mc_str_equal_nocase(MC_STR("Content-TYPE"), MC_STR("content-type")), "case ignored");
    ok(!mc_str_equal_nocase(MC_STR("[a"), MC_STR("{a")), "only letters have a case");
    is_int(mc_hex_digit('7') * 256 + mc_hex_digit('c') * 16 + mc_hex_digit('F'), 0x7cf,
           "hex digits");
    ok(mc_hex_digit('g') < 0 && mc_hex_digit('/') < 0 && mc_hex_digit(':') < 0 &&
           mc_hex_digit('@') < 0,
       "and none");
    ok(mc_str_starts(MC_STR("abc"), MC_STR("ab")), "starts");
    ok(!mc_str_starts(MC_STR("a"), MC_STR("ab")), "too short to start");
    ok(mc_str_starts(MC_STR_NONE, MC_STR_NONE), "absent starts with absent");
    ok(mc_str_ends(MC_STR("abc"), MC_STR("bc")), "ends");
    ok(!mc_str_ends(MC_STR("c"), MC_STR("bc")), "too short to end");
    ok(mc_str_ends(MC_STR_NONE, MC_STR("")), "absent ends with empty");
    ok(!mc_str_given(MC_STR_NONE) && mc_str_given(MC_STR("")), "absent differs from empty");
}

static void test_split(void)
{
    mc_str rest = MC_STR("a,,b,");
    mc_str head;
    static const char *const want[] = {"a", "", "b", ""};
    for (size_t i = 0; i < 4; i++) {
        ok(mc_str_split(&rest, ',', &head), "part %zu", i);
        is_text(head, want[i], "text of part %zu", i);
    }
    ok(!mc_str_split(&rest, ',', &head), "used up");
    rest = MC_STR("");
    ok(mc_str_split(&rest, ',', &head) && head.len == 0, "the empty string is one part");
    ok(!mc_str_split(&rest, ',', &head), "and no more");
    is_text(mc_str_trim(MC_STR(" \t\r\n x y \v\f")), "x y", "trim");
    is_text(mc_str_trim(MC_STR("  ")), "", "trim all");
    ok(!mc_str_trim(MC_STR_NONE).data, "trim absent");
}

static void test_integers(void)
{
    int64_t value = 7;
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "0x1",
                                      "9223372036854775808",
                                      "--1",
                                      "-9223372036854775809",
                                      "99999999999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ok(!mc_str_to_int64(mc_str_of(bad[i]), &value), "not an integer: '%s'", bad[i]);
    ok(!mc_str_to_int64(MC_STR("1\0"), &value), "NUL behind it");
    ok(!mc_str_to_int64(MC_STR_NONE, &value), "absent");
    is_int(value, 7, "output untouched");
    ok(mc_str_to_int64(MC_STR("9223372036854775807"), &value), "largest");
    is_int(value, INT64_MAX, "largest");
    ok(mc_str_to_int64(MC_STR("-9223372036854775808"), &value), "smallest");
    is_int(value, INT64_MIN, "smallest");
    ok(mc_str_to_int64(MC_STR("-007"), &value) && value == -7, "leading zeros");
}

static void test_doubles(void)
{
    double value = 7;
    static const char *const bad[] = {"",    ".",     "-",      "e1",      "1e",    "1e+",
                                      "inf", "nan",   "0x1p3",  "1,5",     "1.2.3", "1 ",
                                      " 1",  "1e999", "-1e999", "infinity"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ok(!mc_str_to_double(mc_str_of(bad[i]), &value), "not a number: '%s'", bad[i]);
    char zeros[600];
    memset(zeros, '0', sizeof(zeros));
    ok(!mc_str_to_double((mc_str){zeros, sizeof(zeros)}, &value), "longer than any number");
    is_double(value, 7, 0, "output untouched");
    ok(mc_str_to_double(MC_STR("-1.5e-3"), &value), "exponent");
    is_double(value, -0.0015, 1e-18, "exponent");
    ok(mc_str_to_double(MC_STR(".5"), &value) && value > 0.4 && value < 0.6,
       "no digit before the point");
    ok(mc_str_to_double(MC_STR("5."), &value) && value > 4.9 && value < 5.1,
       "no digit behind the point");
    ok(mc_str_to_double(MC_STR("1.7976931348623157e308"), &value), "largest");
    is_double(value, DBL_MAX, 0, "largest");
    mc_str part = {"2.5kg", 3};
    ok(mc_str_to_double(part, &value), "not NUL-terminated");
    is_double(value, 2.5, 0, "not NUL-terminated");
}

static void test_enumerations(void)
{
    enum mc_role role = MC_ROLE_SYSTEM;
    ok(mc_role_parse(MC_STR("tool"), &role) && role == MC_ROLE_TOOL, "role");
    ok(!mc_role_parse(MC_STR("Tool"), &role) && role == MC_ROLE_TOOL,
       "exact case, output untouched");
    ok(!mc_role_parse(MC_STR(""), &role), "no empty role");
    ok(!mc_role_parse(MC_STR_NONE, &role), "no absent role");
    is_str(mc_role_name((enum mc_role)99), "", "unknown role");
    is_str(mc_tier_name(MC_TIER_ARCHIVE), "archive", "tier");
    is_str(mc_enrichment_name(MC_ENRICHMENT_FAILED), "failed", "enrichment");
    for (int i = 0; i < MC_VISIBILITY_COUNT; i++) {
        enum mc_visibility visibility;
        const char *name = mc_visibility_name((enum mc_visibility)i);
        ok(mc_visibility_parse(mc_str_of(name), &visibility) && (int)visibility == i, "%s", name);
    }
    enum mc_context_mode mode;
    ok(mc_context_mode_parse(MC_STR("llm"), &mode) && mode == MC_CONTEXT_LLM, "mode");
    is_str(mc_context_mode_name(MC_CONTEXT_FAST), "fast", "mode name");
    enum mc_preference_action action;
    ok(mc_preference_action_parse(MC_STR("clear"), &action) && action == MC_PREFERENCE_CLEAR,
       "action");
    ok(!mc_preference_action_parse(MC_STR("delete"), &action), "no such action");
}

int main(void)
{
    test_compare();
    test_split();
    test_integers();
    test_doubles();
    test_enumerations();
    char *copy = mc_str_dup((mc_str){"abcd", 2});
    is_str(copy, "ab", "copy of a part");
    free(copy);
    copy = mc_str_dup(MC_STR_NONE);
    is_str(copy, "", "copy of nothing");
    free(copy);
    ok(!mc_str_dup((mc_str){"", SIZE_MAX}), "no copy of the largest length");
    ok(mc_str_hash(MC_STR("foobar")) == UINT64_C(0x85944171f73967e8), "FNV-1a of foobar");
    ok(mc_str_hash(MC_STR_NONE) == UINT64_C(0xcbf29ce484222325), "FNV-1a of nothing");
    mc_free(NULL);
    return done_testing();
}
