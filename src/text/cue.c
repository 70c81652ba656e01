#include "text/cue.h"

#include <assert.h>
#include <pthread.h>

#include "base/compiler.h"
#include "base/str.h"
#include "text/lexicon.h"
#include "text/trie.h"

#define NODE_MAX 2048
#define SLOT_COUNT 4096
#define AT_START 0x10000 /* only at the beginning of a sentence */
#define URGENT_WORD 3    /* points of one */
#define DENIAL_REACH 4   /* words */

struct row {
    enum mc_cue cue;
    int points;
    int place; /* 0 or AT_START */
    const char *phrases;
};

/* Folded; an apostrophe stays, a possessive 's is gone: "what's" is "what". */
static const struct row rows[] = {
    {MC_CUE_ASK, 2, 0,
     "can you tell me|could you tell me|can you explain|could you explain|can you let me know|"
     "how do i|how can i|how to|how does|how do you|how would i|how long|how much|how many|"
     "how often|what is|what are|what if|what does|what kind|what happens|where is|where can i|"
     "where do i|when will|when is|when does|when can|why is|why does|why did|why was|why am|"
     "who is|who can|which one|is it possible|is there|are there|do you know|do you have|"
     "do you offer|do you ship|do you support|can i|could i|may i|should i|am i able|"
     "i was wondering|i wonder|wondering if|wondering whether|any idea|curious|does it|"
     "does this|does the|will it|will the|i would like to know|i'd like to know|i want to know|"
     "let me know if|i have a question|quick question|question about|can someone explain|"
     "not sure how|not sure if|what about|how about"},
    {MC_CUE_REQUEST, 6, 0,
     "can you|could you|would you|will you please|can u|could u|can somebody|can someone|"
     "could someone|would you mind|please cancel|please send|please refund|please help|"
     "please fix|please change|please update|please check|please delete|please reset|"
     "please let me|please make|please add|please remove|please give|please provide|"
     "please tell|please explain|please confirm|please contact|please call|please resend|"
     "please look|please stop|please advise|please close|i need you to|i want you to|"
     "i'd like you to|i would like you to|i request|i am requesting|i'm requesting|i demand|"
     "i want a refund|i want my money|i need a refund|i would like a refund|i'd like a refund|"
     "i'd like to cancel|i would like to cancel|i want to cancel|i need to cancel|"
     "i wish to cancel|get my money back|requesting a|asking for a"},
    {MC_CUE_REQUEST, 3, 0,
     "i need|i want to|i'd like to|i would like to|i'd like|i would like|help me|i need help|"
     "need help|need assistance|send me|tell me|show me|give me|make sure|let me speak|"
     "speak to|talk to a|i wish to|i require|looking for|trying to get|please"},
    {MC_CUE_INFORM, 3, 0,
     "my name is|my order number is|my order id is|my email is|my email address is|"
     "my phone number is|my address is|my account number is|my username is|my number is|"
     "my birthday is|here is|here are|here you go|here's|for your information|fyi|"
     "just to let you know|just letting you know|just so you know|i have attached|"
     "i've attached|attached is|attached are|please find|the error is|the error message is|"
     "the error says|it says|the order number is|the tracking number is|the invoice number is|"
     "i am using|i'm using|i use|i work|i live|i moved|we moved|i am from|i'm from|i was born|"
     "the issue is|the problem is|i am running|i'm running|we use|we are using|we're using"},
    {MC_CUE_OPINION, 3, 0,
     "i think|i believe|i feel|in my opinion|in my view|imo|imho|i love|i hate|i really like|"
     "i like|i don't like|i do not like|i dislike|i enjoy|i enjoyed|i loved|i hated|"
     "i'm impressed|i am impressed|i'm happy with|i am happy with|i'm not happy|i am not happy|"
     "to be honest|honestly|personally|if you ask me|i'm so happy|i am so happy|i'm very happy|"
     "i am very happy|i'm satisfied|i am satisfied|love the|love this|love your|love how"},
    {MC_CUE_COMPLAINT, 3, 0,
     "i want to complain|file a complaint|make a complaint|this is unacceptable|not acceptable|"
     "totally unacceptable|still waiting|still have not|still haven't|still has not|"
     "still hasn't|still not|still no|second time|third time|fourth time|yet again|"
     "nobody answers|no one answers|no response|no reply|no answer|nobody has|no one has|"
     "never arrived|never came|never received|never got|never again|doesn't work|does not work|"
     "not working|stopped working|isn't working|didn't work|won't work|doesn't even|fed up|"
     "sick of|tired of|waste of|rip off|speak to a manager|speak to your manager|"
     "your supervisor|ridiculous|charged twice|charged me twice|double charged|wrong item|"
     "wrong order|wrong size|arrived broken|arrived damaged|was damaged|was broken|"
     "worst service|how is this possible|not what i ordered|keeps crashing|keeps failing|"
     "ignoring me|ignored me|ignored my|for weeks now|for days now"},
    {MC_CUE_CLARIFY, 5, 0,
     "what do you mean|what did you mean|i don't understand|i do not understand|"
     "i dont understand|i didn't understand|could you clarify|can you clarify|please clarify|"
     "to clarify|let me clarify|let me rephrase|what i meant|what i mean|i meant|i mean the|"
     "in other words|to be clear|to be more specific|to be precise|can you rephrase|"
     "could you rephrase|can you explain what you|do you mean|did you mean|you misunderstood|"
     "that is not what i|that's not what i|not what i asked|not what i meant|"
     "i was referring to|i'm referring to|i am referring to|i was talking about|"
     "i'm talking about|not sure what you mean|what exactly do you"},
    {MC_CUE_CLARIFY, 3, AT_START,
     "no the|no i meant|no not|no it's the|sorry i meant|actually i|i said"},
    {MC_CUE_FEEDBACK, 5, 0,
     "would be great if|would be nice if|would be good if|would be helpful if|"
     "would love to see|it would help if|i suggest|i'd suggest|i would suggest|my suggestion|"
     "a suggestion|some feedback|my feedback|feature request|you should add|"
     "you should consider|please add support|please consider adding|consider adding|"
     "could be improved|could be better|should be improved|needs improvement|"
     "room for improvement|wish there was|wish there were|wish you had|wish it had|i wish the|"
     "i wish you|feedback on|feedback about|feedback for|keep up the good work|"
     "keep up the great work|great job on|my experience with|i recommend adding|"
     "one improvement|it'd be great if|it'd be nice if"},
    {MC_CUE_CONFIRM, 2, AT_START,
     "yes|yeah|yep|yup|correct|confirmed|that is correct|that's correct|exactly|sure|of course|"
     "i confirm|i agree|agreed|absolutely|definitely|go ahead|sounds good|that works|no"},
    {MC_CUE_URGENT, 3, 0,
     "as soon as possible|right now|right away|straight away|at once|need this now|need it now|"
     "need it today|need this today|need it by|need this by|time sensitive|high priority|"
     "top priority|cannot wait|can't wait any|running out of time|production is down|"
     "system is down|site is down|server is down|service is down|is down|losing money|"
     "losing customers|losing sales|life threatening|very important|really important|"
     "extremely important|mission critical|without delay|before it's too late|all users|"
     "all customers|our customers"},
    {MC_CUE_DEADLINE, 2, 0,
     "by monday|by tuesday|by wednesday|by thursday|by friday|by saturday|by sunday|"
     "by tomorrow|by tonight|by today|by noon|by the end of|by end of|by eod|by next|"
     "before monday|before tuesday|before wednesday|before thursday|before friday|"
     "before saturday|before sunday|before tomorrow|before the end|before my|due date|due on|"
     "due by|due tomorrow|due today|no later than|deadline|expires|expire on|until friday|"
     "until monday|until tomorrow|my flight|my birthday is|my wedding"},
    {MC_CUE_PERSONAL, 3, 0,
     "my name is|my name's|my full name|call me|i am allergic|i'm allergic|allergic to|allergy|"
     "i am a vegetarian|i'm a vegetarian|i'm vegetarian|i am vegetarian|i'm vegan|i am vegan|"
     "i'm a vegan|i live in|i live at|i live on|i'm living in|i moved to|i work at|i work for|"
     "i work as|i work in|i am a|i'm a|i was born|my birthday|my anniversary|my wife|"
     "my husband|my son|my daughter|my partner|my kids|my children|my mother|my father|my mom|"
     "my dad|my sister|my brother|my dog|my cat|my boss|my manager|my company|my team|"
     "my phone number is|my email is|my address is|my new address|my new phone|my new email|"
     "i am years old|years old|i'm diabetic|i am diabetic|i have diabetes|i have asthma|"
     "my doctor|my blood|my job|my time zone|my timezone|i am pregnant|i'm pregnant|i'm from|"
     "i am from|i speak|i am based in|i'm based in|we are based in|we're based in|"
     "i got married|i graduated"},
    {MC_CUE_PREFERENCE, 3, 0,
     "i prefer|i'd prefer|i would prefer|i'd rather|i would rather|i like to|i always|i never|"
     "i usually|i love|i hate|i don't like|i do not like|i can't stand|i cannot stand|"
     "i dislike|my favorite|my favourite|i only|please always|please never|always use|"
     "never use|don't call|do not call|don't contact|do not contact|don't send|do not send|"
     "don't email|from now on|in the future|going forward|next time please|prefer to be|"
     "preferred"},
    {MC_CUE_REMEMBER, 4, 0,
     "remember that|remember this|please remember|remember my|remember i|don't forget|"
     "do not forget|keep in mind|note that|please note|make a note|take note|"
     "for future reference|for the record|save this|important to know|you should know"},
};

static struct mc_trie_node nodes[NODE_MAX];
static uint32_t slots[SLOT_COUNT];
static struct mc_trie cues;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/*
 * A phrase may be in two lists ("i love" is opinion and preference): its value holds both, the
 * second one shifted by 20 bits.
 */
static int32_t merge(int32_t old, int32_t value)
{
    return old == 0 ? value : old | (value & 0x7FF) << 20;
}

static int32_t value_of(mc_str words)
{
    uint32_t node = 0;
    mc_str word;
    while (mc_str_split(&words, ' ', &word)) {
        node = mc_trie_step(&cues, node, word, mc_word_hash(word));
        if (node == 0)
            return 0;
    }
    return mc_trie_value(&cues, node);
}

static void build(void)
{
    mc_trie_init_fixed(&cues, nodes, NODE_MAX, slots, SLOT_COUNT);
    for (size_t i = 0; i < mc_countof(rows); i++) {
        mc_str rest = mc_str_of(rows[i].phrases);
        mc_str phrase;
        while (mc_str_split(&rest, '|', &phrase)) {
            int32_t value = (int32_t)rows[i].cue | rows[i].points << 8 | rows[i].place;
            bool added = mc_trie_add(&cues, phrase, merge(value_of(phrase), value));
            assert(added);
            (void)added;
        }
    }
}

static void add_points(struct mc_cues *out, int cue, int points)
{
    int sum = out->points[cue] + points;
    out->points[cue] = (uint8_t)(sum > 255 ? 255 : sum);
}

/* Words that may stand between "not" and what it denies, beside those of emphasis. */
static bool is_between(const struct mc_token *token)
{
    static const char *const words[] = {"a", "an", "the", "all", "any", "at", "longer", "that"};
    if (mc_lexicon_entry(token->word)->flags & (MC_WORD_BOOST | MC_WORD_DAMP))
        return true;
    for (size_t i = 0; i < mc_countof(words); i++) {
        if (mc_token_is(token, words[i]))
            return true;
    }
    return false;
}

/* "not urgent", "isn't really that urgent", "no longer a priority". */
static bool is_denied(const struct mc_tokens *tokens, size_t at)
{
    for (size_t back = 1; back <= DENIAL_REACH && back <= at; back++) {
        if (tokens->items[at - back + 1].gap & (MC_GAP_STOP | MC_GAP_PAUSE))
            return false;
        const struct mc_token *before = &tokens->items[at - back];
        if (mc_lexicon_entry(before->word)->flags & MC_WORD_NEGATION)
            return true;
        if (!is_between(before))
            return false;
    }
    return false;
}

static void count(const struct mc_tokens *tokens, size_t at, int32_t value, bool start,
                  struct mc_cues *out)
{
    int cue = value & 0xFF;
    if (((value & AT_START) && !start) || (cue == MC_CUE_URGENT && is_denied(tokens, at)))
        return;
    add_points(out, cue, value >> 8 & 0xFF);
}

static void match(const struct mc_tokens *tokens, size_t at, bool start, struct mc_cues *out)
{
    uint32_t node = 0;
    int32_t value = 0;
    for (size_t i = at; i < tokens->count; i++) {
        const struct mc_token *token = &tokens->items[i];
        if (i > at && (token->gap & MC_GAP_STOP))
            break;
        node = mc_trie_step(&cues, node, token->folded, token->hash);
        if (node == 0)
            break;
        if (mc_trie_value(&cues, node) != 0)
            value = mc_trie_value(&cues, node);
    }
    if (value == 0)
        return;
    count(tokens, at, value & 0x1FFFF, start, out);
    int32_t second = value >> 20;
    if (second != 0)
        count(tokens, at, second, start, out);
}

static void add_one(uint8_t *counter)
{
    *counter = (uint8_t)(*counter + (*counter < 255));
}

/* Words before the sentence proper: "hi, ", "please", "and". */
static bool is_lead(const struct mc_token *token, uint32_t flags)
{
    static const char *const leads[] = {"hi",  "hello", "hey",    "please", "and",  "so",   "ok",
                                        "but", "also",  "thanks", "dear",   "then", "well", "pls"};
    if (!(flags & (MC_WORD_STOP | MC_WORD_CONTRAST)) && token->folded.len != 3)
        return false;
    for (size_t i = 0; i < mc_countof(leads); i++) {
        if (mc_token_is(token, leads[i]))
            return true;
    }
    return false;
}

void mc_cues_of(const struct mc_tokens *tokens, struct mc_cues *out)
{
    pthread_once(&once, build);
    memset(out, 0, sizeof(*out));
    bool start = true;
    for (size_t i = 0; i < tokens->count; i++) {
        const struct mc_token *token = &tokens->items[i];
        if (i > 0 && (token->gap & MC_GAP_STOP))
            start = true;
        if (i > 0 && (token->gap & MC_GAP_QUESTION))
            add_one(&out->questions);
        uint32_t flags = mc_lexicon_entry(token->word)->flags;
        if (start && (flags & (MC_WORD_ASK | MC_WORD_AUXILIARY)) && i + 1 < tokens->count)
            add_one(&out->openings);
        if (start && (flags & MC_WORD_ACTION) && i + 1 < tokens->count)
            add_one(&out->commands);
        if ((flags & MC_WORD_URGENT) && !is_denied(tokens, i))
            add_points(out, MC_CUE_URGENT, URGENT_WORD);
        match(tokens, i, start, out);
        start = start && is_lead(token, flags);
    }
    if (tokens->tail & MC_GAP_QUESTION)
        add_one(&out->questions);
}
