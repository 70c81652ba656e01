#include "cli/libraries.h"

#include "base/str.h"

/* The build gives "sqlite3 3.40.1;jansson 2.14;...". */
#ifndef MC_LIBRARIES
#error "the build must define MC_LIBRARIES"
#endif

/* The next library of the list; false behind the last. */
static bool next(mc_str *list, mc_str *name, mc_str *version)
{
    return list->len && mc_str_split(list, ';', version) && mc_str_split(version, ' ', name);
}

void mc_libraries_write(struct mc_json_writer *writer)
{
    mc_str list = MC_STR(MC_LIBRARIES);
    mc_str name;
    mc_str version;
    mc_json_begin(writer, '{');
    while (next(&list, &name, &version)) {
        mc_json_key_str(writer, name);
        mc_json_put_string(writer, version);
    }
    mc_json_end(writer, '}');
}

void mc_libraries_print(struct mc_out *out)
{
    mc_str list = MC_STR(MC_LIBRARIES);
    mc_str name;
    mc_str version;
    while (next(&list, &name, &version))
        fprintf(out->file, "  %-12.*s %.*s\n", MC_STR_ARG(name), MC_STR_ARG(version));
}
