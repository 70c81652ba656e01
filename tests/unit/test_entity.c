/* Things named in a text, and what must not be taken for one. */
#include "tap.h"

#include "base/arena.h"
#include "base/time.h"
#include "text/entity.h"

static struct mc_arena arena;

/* "type=value; type=value" */
static const char *entities(const char *text)
{
    static char joined[4096];
    struct mc_tokens tokens;
    struct mc_entities found;
    joined[0] = '\0';
    mc_arena_reset(&arena);
    if (!mc_tokens_of(mc_str_of(text), 1000, &arena, &tokens))
        return "out of memory";
    mc_entities_of(&tokens, &found);
    size_t len = 0;
    for (size_t i = 0; i < found.count; i++)
        len += (size_t)snprintf(joined + len, sizeof(joined) - len, "%s%s=%.*s", i ? "; " : "",
                                mc_entity_name(found.items[i].type).data,
                                (int)found.items[i].value.len, found.items[i].value.data);
    return joined;
}

static void are(const char *text, const char *want)
{
    is_str(entities(text), want, "%s", text);
}

static void test_numbers(void)
{
    are("Where is my order #12345?", "order_id=12345");
    are("order number 98765 please", "order_id=98765");
    are("My order number is A-123-45.", "order_id=A-123-45");
    are("ORD-12345 is late", "order_id=ORD-12345");
    are("ord12345 and Order ord12345", "order_id=ord12345");
    are("Invoice INV-2024-001 is wrong", "invoice_id=INV-2024-001");
    are("invoice no. 4711 again", "invoice_id=4711");
    are("the bill #88123", "invoice_id=88123");
    are("UPS says 1Z999AA10123456784", "tracking_number=1Z999AA10123456784");
    are("tracking number 123456789012", "tracking_number=123456789012");
    are("my package RR123456789US", "tracking_number=RR123456789US");
    are("9400111899223197428490 by USPS", "tracking_number=9400111899223197428490");
    are("ticket #5512", "custom=5512");
    are("I ordered 2 pizzas and 15 chairs", "");
    are("in order to 5 people", "");
    are("we have 2000 users", "");
}

static void test_dates(void)
{
    are("on 2026-03-03 at noon", "date=2026-03-03");
    are("since 12/31/2025.", "date=12/31/2025");
    are("am 31.12.2025", "date=31.12.2025");
    are("March 3rd works", "date=March 3rd");
    are("March 3, 2026", "date=March 3, 2026");
    are("the 3 March 2026 flight", "date=3 March 2026");
    are("3rd of March", "date=3rd of March");
    are("in two weeks", "date=in two weeks");
    are("it came yesterday", "date=yesterday");
    are("next Tuesday, or last month", "date=next Tuesday; date=last month");
    are("three days ago", "date=three days ago");
    are("within 10 business days", "date=within 10 business days");
    are("a few weeks ago", "date=a few weeks ago");
    are("on Friday", "date=Friday");
    are("the day after tomorrow", "date=day after tomorrow");
    are("you may 3 times", "");
    are("version 1.2.3", "");
    are("99/99/2025", "");
    are("the sun was nice", "");
}

static void test_amounts(void)
{
    are("It cost $1,299.00.", "amount=$1,299.00");
    are("20 EUR", "amount=20 EUR");
    are("\xE2\x82\xAC"
        "15 only",
        "amount=\xE2\x82\xAC"
        "15");
    are("15 \xE2\x82\xAC only", "amount=15 \xE2\x82\xAC");
    are("I paid 15 dollars", "amount=15 dollars");
    are("EUR 20.50", "amount=EUR 20.50");
    are("a $15k deal", "amount=$15k");
    are("\xC2\xA3"
        "7.99 each",
        "amount=\xC2\xA3"
        "7.99");
    are("50% off", "");
    are("just 20 of them", "");
    are("It costs $5 on average", "amount=$5");
    are("He said \"it costs $5\"", "amount=$5");
    are("from $1 to $3 each, or $1.50", "amount=$1; amount=$3; amount=$1.50");
    are("cp \"$1\" /tmp", "");
    are("select name from users where id = $1;", "");
    are("values ($1, $2, $3)", "");
    are("awk '{print $1}'", "");
    are("awk '{ $2 }'", "");
    are("for x in $1 $2; do", "");
}

static void test_contacts(void)
{
    are("mail john.doe+x@mail.example.co.uk.", "email=john.doe+x@mail.example.co.uk");
    are("a@b is none, @john neither", "");
    are("see https://example.com/a?b=c&d=1, ok", "url=https://example.com/a?b=c&d=1");
    are("(www.example.org/path)", "url=www.example.org/path");
    are("mindcore.io rocks", "url=mindcore.io");
    are("+49 30 1234567", "phone=+49 30 1234567");
    are("(555) 123-4567", "phone=(555) 123-4567");
    are("555-123-4567", "phone=555-123-4567");
    are("my phone number is 5551234567", "phone=5551234567");
    are("1 2 3 4 5 6 7 8", "");
}

static void test_names(void)
{
    are("My name is Anna Schmidt and I need help", "person=Anna Schmidt");
    are("my name is bob", "person=bob");
    are("I'm Peter from Berlin", "person=Peter");
    are("Please ask Mr. Smith", "person=Mr. Smith");
    are("Dr Jane Doe called", "person=Dr Jane Doe");
    are("I'm Sorry about that", "");
    are("I'm looking for shoes", "");
    are("I'm German", "");
    are("We are Acme Widgets Inc. of Ohio", "organization=Acme Widgets Inc");
    are("bought by Foo GmbH", "organization=Foo GmbH");
    are("I work at Acme in sales", "organization=Acme");
}

static void test_many(void)
{
    char text[64 * 1024];
    size_t len = 0;
    for (int i = 0; len < sizeof(text) - 40; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "$%d.00 a@a@a.%d ", i, i);
    struct mc_tokens tokens;
    struct mc_entities found;
    mc_arena_reset(&arena);
    if (!ok(mc_tokens_of((mc_str){text, len}, 100000, &arena, &tokens), "tokens"))
        return;
    clock_t start = clock(); /* of the processor, which others have meanwhile */
    mc_entities_of(&tokens, &found);
    is_int(found.count, MC_ENTITIES_MAX, "no more than the maximum");
    ok(clock() - start < 2 * CLOCKS_PER_SEC, "in linear time");
}

int main(void)
{
    mc_arena_init(&arena, (size_t)32 * 1024 * 1024);
    test_numbers();
    test_dates();
    test_amounts();
    test_contacts();
    test_names();
    test_many();
    mc_arena_fini(&arena);
    return done_testing();
}
