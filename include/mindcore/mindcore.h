/* The whole public interface of libmindcore. */
#ifndef MINDCORE_MINDCORE_H
#define MINDCORE_MINDCORE_H

#include <mindcore/config.h>
#include <mindcore/context.h>
#include <mindcore/database.h>
#include <mindcore/engine.h>
#include <mindcore/key.h>
#include <mindcore/memory.h>
#include <mindcore/message.h>
#include <mindcore/operate.h>
#include <mindcore/search.h>
#include <mindcore/source.h>
#include <mindcore/status.h>
#include <mindcore/types.h>

#endif
