/*
 * Outcome of every call: a status code, and for a failure an error owned by the caller that says what
 * was wrong, where, and what to do.
 */
#ifndef MINDCORE_STATUS_H
#define MINDCORE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MC_API __attribute__((visibility("default")))
#define MC_MUST_CHECK __attribute__((warn_unused_result))
#define MC_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define MC_API
#define MC_MUST_CHECK
#define MC_PRINTF(fmt, args)
#endif

/*
 * The one table of outcomes: name, HTTP status, Python exception, text.
 * MC_STATUS_MAP(X) calls X(NAME, http_status, python_exception, text) for each in order of its code.
 */
#define MC_STATUS_MAP(X)                                                                           \
    X(OK, 200, "", "done")                                                                         \
    X(INVALID, 400, "InvalidArgumentError", "invalid argument")                                    \
    X(UNAUTHENTICATED, 401, "AuthenticationError", "not authenticated")                            \
    X(FORBIDDEN, 403, "PermissionDeniedError", "not allowed")                                      \
    X(NOT_FOUND, 404, "NotFoundError", "not found")                                                \
    X(CONFLICT, 409, "ConflictError", "conflict")                                                  \
    X(TOO_LARGE, 413, "TooLargeError", "too large")                                                \
    X(RATE_LIMITED, 429, "RateLimitedError", "too many requests")                                  \
    X(CANCELLED, 499, "CancelledError", "cancelled")                                               \
    X(INTERNAL, 500, "InternalError", "internal error")                                            \
    X(NO_MEMORY, 503, "OutOfMemoryError", "out of memory")                                         \
    X(CONFIG, 500, "ConfigurationError", "configuration error")                                    \
    X(CORRUPT, 500, "CorruptError", "damaged data")                                                \
    X(VERSION, 500, "VersionError", "incompatible version")                                        \
    X(IO, 500, "StorageError", "input or output failed")                                           \
    X(UNSUPPORTED, 501, "UnsupportedError", "not supported by this build")                         \
    X(BUSY, 503, "BusyError", "busy")                                                              \
    X(UNAVAILABLE, 503, "UnavailableError", "unavailable")                                         \
    X(TIMEOUT, 504, "TimeoutError", "timed out")                                                   \
    X(DISK_FULL, 507, "DiskFullError", "no space left")

enum mc_status {
#define MC_STATUS_ENUM(name, http, exception, text) MC_##name,
    MC_STATUS_MAP(MC_STATUS_ENUM)
#undef MC_STATUS_ENUM
};

/* Lengths include the terminating NUL; longer text is cut at a character boundary. */
struct mc_error {
    enum mc_status status;
    char field[60];    /* the argument, key or column at fault, "" when none */
    char message[448]; /* what was wrong, where, what to do; valid UTF-8, one line */
};

/* "NOT_FOUND", "not found", 404, "NotFoundError". An unknown code reads as INTERNAL. Never NULL. */
MC_API const char *mc_status_name(enum mc_status status);
MC_API const char *mc_status_text(enum mc_status status);
MC_API int mc_status_http(enum mc_status status);
MC_API const char *mc_status_exception(enum mc_status status);

#ifdef __cplusplus
}
#endif
#endif
