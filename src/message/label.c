#include "message/label.h"

void mc_label_append(struct mc_buf *out, char kind, mc_str name)
{
    mc_buf_char(out, kind);
    mc_buf_char(out, ':');
    for (size_t i = 0; i < name.len; i++)
        mc_buf_char(out, name.data[i] == ' ' ? '_' : name.data[i]);
}
