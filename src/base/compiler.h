/* What the compiler offers beyond ISO C11, under one name each. */
#ifndef MC_BASE_COMPILER_H
#define MC_BASE_COMPILER_H

/* Calls fn(&variable) when the variable leaves its scope: mc_auto(mc_buf_fini) struct mc_buf buf; */
#define mc_auto(fn) __attribute__((cleanup(fn)))

/* The value of an owning pointer, which is set to NULL: ownership moves out of an mc_auto variable. */
#define mc_steal(pointer)                                                                          \
    (__extension__({                                                                               \
        __typeof__(pointer) mc_stolen = (pointer);                                                 \
        (pointer) = NULL;                                                                          \
        mc_stolen;                                                                                 \
    }))

#define mc_container_of(pointer, type, member)                                                     \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define mc_countof(array) (sizeof(array) / sizeof((array)[0]))

#endif
