/* The words of text/lexicon.h. Weights are our own: 40 is the strongest praise, -40 the worst
 * abuse. */
#include "base/compiler.h"
#include "text/lexicon.h"

/*
 * Flags, weight, value, words. MC_WORD_PLAIN takes back what a list above says of a word,
 * MC_WORD_FAMILY speaks of a word's family.
 */
/* clang-format off */
const struct mc_word_list mc_lexicon_lists[] = {
    {MC_WORD_STOP, 0, 0,
     "a about above after again all also although am among an and another any anybody "
     "anyone anything are around as at away back be became because become been before "
     "being below between both but by came can cannot come could did do does doing done "
     "down during each either else enough etc even ever every everybody everyone "
     "everything for from further gave get gets getting give given gives giving go goes "
     "going gone got gotten had has have having he hence her here hers herself him "
     "himself his how however i if in indeed instead into is it its itself just keep "
     "keeps kept know known knows lately least less let lets like made make makes making "
     "many may maybe me might mine more most mostly much must my myself near neither no "
     "nobody none nor not nothing now nowhere of off often oh ok okay on once one only "
     "onto or other others otherwise ought our ours ourselves out over own per perhaps "
     "please put quite rather re really said same say says see seem seemed seems seen "
     "shall she should since so some somebody someone something sometimes somewhere still "
     "such take taken takes taking than that the their theirs them themselves then there "
     "therefore these they thing things this those though through thus till to together "
     "told too took toward towards two under until up upon us use used uses using various "
     "very via was way we well went were what whatever when whenever where whereas "
     "wherever whether which while who whoever whole whom whose why will with within "
     "without would yes yet you your yours yourself yourselves thanks thank hi hello hey "
     "dear regards yeah yep nope um uh hmm lot lots bit kind sort sure soon want wants "
     "wanted https http www com"},
    {MC_WORD_STOP, 0, 0,
     "i'm i've i'll i'd you're you've you'll you'd he'd he'll she'd she'll it'd it'll "
     "we're we've we'll we'd they're they've they'll they'd that'll that'd there'll "
     "who'll who'd who've what're what've how'd im ive youre theyre thats whats ll ve"},
    {MC_WORD_STOP | MC_WORD_NEGATION, 0, 0,
     "not no never none nobody nothing nowhere neither nor cannot without hardly barely "
     "scarcely rarely don't doesn't didn't isn't aren't wasn't weren't hasn't haven't "
     "hadn't won't wouldn't can't couldn't shouldn't mustn't needn't ain't shan't "
     "mightn't dont doesnt didnt isnt arent wasnt werent hasnt havent hadnt wont wouldnt "
     "cant couldnt shouldnt aint nope"},
    {MC_WORD_NEGATION, 0, 0,
     "lack lacks lacking stopped stops"},
    {MC_WORD_BOOST, 0, 0,
     "very really extremely incredibly absolutely completely totally utterly so too "
     "highly deeply especially exceptionally particularly remarkably seriously super "
     "truly tremendously unbelievably enormously entirely fully greatly hugely insanely "
     "intensely majorly most more much purely quite ridiculously thoroughly uber fucking "
     "freaking damn bloody awfully terribly horribly constantly always repeatedly beyond "
     "real mega ultra"},
    {MC_WORD_DAMP, 0, 0,
     "slightly somewhat little bit fairly kinda sorta partly partially mildly marginally "
     "moderately occasionally relatively less rather pretty almost nearly sometimes"},
    {MC_WORD_CONTRAST, 0, 0,
     "but however yet although though except unfortunately nevertheless"},
    {MC_WORD_ASK, 0, 0,
     "what where when who whom whose which why how what're whats wheres hows"},
    {MC_WORD_AUXILIARY, 0, 0,
     "is are am was were do does did can could will would should shall may might has have "
     "had isn't aren't wasn't weren't don't doesn't didn't can't couldn't won't wouldn't "
     "shouldn't hasn't haven't hadn't"},
    {MC_WORD_SELF, 0, 0,
     "i we my our me us mine ours i'm i've i'd i'll we're we've we'd we'll im ive"},
    {MC_WORD_URGENT, 0, 0,
     "urgent urgently asap immediately emergency critical critically escalate escalated "
     "escalation deadline overdue blocker blocking outage hurry expedite rush priority "
     "immediate instantly sev1 p0 p1"},
    {MC_WORD_PROBLEM, 0, 0,
     "broken bug bugs crash crashes crashed crashing error errors fail fails failed "
     "failing failure failures freezes issue issues problem "
     "problems wrong stuck incorrect incorrectly missing lost damaged defective faulty "
     "hangs hung unable unavailable timeout timeouts exception glitch glitches glitchy "
     "buggy corrupted corrupt denied declined rejected duplicate duplicated twice slow "
     "lag lagging laggy malfunction expired blocked locked invalid unresponsive leaking "
     "leaked outage down delayed late cracked scratched torn leak 500 404 403 503 502"},
    {MC_WORD_COMPLAINT, 0, 0,
     "unacceptable complaint complain complaining complained ridiculous disgusting "
     "disgraceful outrageous scam fraud lawyer sue legal ripoff disappointed "
     "disappointing terrible awful horrible worst useless incompetent furious angry "
     "frustrated frustrating fed joke pathetic appalling unprofessional rude annoyed "
     "annoying misleading lied liars stolen shameful"},
    {MC_WORD_ACTION, 0, 0,
     "cancel refund send resend ship change update fix reset delete remove add create "
     "open close replace return exchange check show tell explain help transfer upgrade "
     "downgrade schedule book activate deactivate enable disable unsubscribe unlock "
     "restore reschedule confirm provide give find look call email contact let make set "
     "turn stop start install configure extend renew track list export import generate "
     "write summarize translate compare recommend suggest remind forward merge apply "
     "process issue credit reimburse investigate resolve escalate connect walk guide pull "
     "run move switch increase reduce approve rename share download upload verify review "
     "draft order"},
    {MC_WORD_OPINION, 0, 0,
     "think believe love hate prefer enjoy dislike feel opinion honestly personally imo "
     "imho adore recommend impressed disappointed guess favorite favourite"},
    {MC_WORD_MONTH, 0, 1,
     "january jan"},
    {MC_WORD_MONTH, 0, 2,
     "february feb"},
    {MC_WORD_MONTH, 0, 3,
     "march mar"},
    {MC_WORD_MONTH, 0, 4,
     "april apr"},
    {MC_WORD_MONTH, 0, 5,
     "may"},
    {MC_WORD_MONTH, 0, 6,
     "june jun"},
    {MC_WORD_MONTH, 0, 7,
     "july jul"},
    {MC_WORD_MONTH, 0, 8,
     "august aug"},
    {MC_WORD_MONTH, 0, 9,
     "september sep sept"},
    {MC_WORD_MONTH, 0, 10,
     "october oct"},
    {MC_WORD_MONTH, 0, 11,
     "november nov"},
    {MC_WORD_MONTH, 0, 12,
     "december dec"},
    {MC_WORD_WEEKDAY, 0, 1,
     "monday mon mondays"},
    {MC_WORD_WEEKDAY, 0, 2,
     "tuesday tue tues tuesdays"},
    {MC_WORD_WEEKDAY, 0, 3,
     "wednesday wed wednesdays"},
    {MC_WORD_WEEKDAY, 0, 4,
     "thursday thu thurs thursdays"},
    {MC_WORD_WEEKDAY, 0, 5,
     "friday fri fridays"},
    {MC_WORD_WEEKDAY, 0, 6,
     "saturday sat saturdays"},
    {MC_WORD_WEEKDAY, 0, 7,
     "sunday sun sundays"},
    {MC_WORD_SPAN, 0, 0,
     "day days week weeks month months year years hour hours minute minutes weekend "
     "weekends night quarter fortnight decade decades second seconds"},
    {MC_WORD_COUNT, 0, 1,
     "one a an"},
    {MC_WORD_COUNT, 0, 2,
     "two couple"},
    {MC_WORD_COUNT, 0, 3,
     "three"},
    {MC_WORD_COUNT, 0, 4,
     "four"},
    {MC_WORD_COUNT, 0, 5,
     "five"},
    {MC_WORD_COUNT, 0, 6,
     "six"},
    {MC_WORD_COUNT, 0, 7,
     "seven"},
    {MC_WORD_COUNT, 0, 8,
     "eight"},
    {MC_WORD_COUNT, 0, 9,
     "nine"},
    {MC_WORD_COUNT, 0, 10,
     "ten"},
    {MC_WORD_COUNT, 0, 11,
     "eleven"},
    {MC_WORD_COUNT, 0, 12,
     "twelve"},
    {MC_WORD_COUNT, 0, 20,
     "twenty"},
    {MC_WORD_COUNT, 0, 30,
     "thirty"},
    {MC_WORD_COUNT, 0, 0,
     "few several many"},
    {MC_WORD_RELATIVE_DAY, 0, 0,
     "today tomorrow yesterday tonight"},
    {MC_WORD_MONEY, 0, 0,
     "dollar dollars buck bucks euro euros pound pounds quid yen rupee rupees cent cents "
     "pence franc francs peso pesos usd eur gbp jpy chf cad aud inr cny brl mxn sek nok "
     "dkk pln krw nzd sgd hkd zar rub"},
    {MC_WORD_ORDER, 0, 0,
     "order orders ord purchase preorder po"},
    {MC_WORD_INVOICE, 0, 0,
     "invoice invoices inv bill"},
    {MC_WORD_TRACK, 0, 0,
     "track tracking trk tracked fedex usps ups dhl parcel package shipment courier "
     "shipped"},
    {MC_WORD_PHONE, 0, 0,
     "phone call mobile cell tel telephone whatsapp fax sms text reach dial"},
    {MC_WORD_REFERENCE, 0, 0,
     "number numbers no num nr id code ref reference is was are called with"},
    {MC_WORD_TITLE, 0, 0,
     "mr mrs ms dr prof mister miss"},
    {MC_WORD_COMPANY, 0, 0,
     "inc gmbh ltd llc corp corporation ag plc bv sarl srl limited incorporated"},
    {MC_WORD_PERIOD, 0, 0,
     "next last this coming past previous following"},
    {MC_WORD_WEB, 0, 0,
     "http https www ftp com org net io dev app"},
    {MC_WORD_CAPS, 0, 0,
     "api usb url id pdf csv http https json xml html css sql ups usps dhl faq ceo cto "
     "vpn usa uk eu us gmbh llc ltd inc ok sso mfa sdk cli ios app ai sms pin iban vat "
     "crm erp aws gcp ssl tls dns ip tv pc hr it qa pr po eta usd eur gbp rma asap fedex"},
    /* Praise. */
    {0, 34, 0,
     "amazing awesome outstanding superb phenomenal flawless incredible brilliant "
     "magnificent marvelous spectacular exceptional"},
    {MC_WORD_FAMILY, 33, 0,
     "excellent fantastic wonderful perfect love fabulous terrific stellar"},
    {MC_WORD_FAMILY, 28, 0,
     "great delight thrill beautiful impress gorgeous stunning adore ecstatic joy "
     "favorite favourite champion"},
    {0, 28, 0,
     "best perfectly greatest loved loves loving delightful delighted thrilled impressive "
     "impressed lifesaver lovely gem"},
    {MC_WORD_FAMILY, 23, 0,
     "happy glad enjoy please pleasant pleasure excite superior splendid grateful "
     "appreciate recommend awesomeness remarkable"},
    {MC_WORD_PLAIN, 0, 0,
     "recommend recommended recommendation please pleased"},
    {0, 22, 0,
     "happier happiest enjoyed enjoying enjoyable excited exciting thankful appreciated "
     "appreciates appreciate pleased recommended highly-recommended yay hooray woohoo "
     "bravo"},
    {MC_WORD_FAMILY, 19, 0,
     "good nice smooth friendly helpful satisfy reliable intuitive elegant polite kind "
     "courteous thoughtful efficient seamless solid win enthusiastic fun"},
    {MC_WORD_PLAIN, 0, 0,
     "kind kinds win"},
    {0, 19, 0,
     "better improved improving improvement improvements convenient professional "
     "responsive knowledgeable useful handy effortless cool neat sweet wins winner glad "
     "excellently pleasing relieved relief charming"},
    {0, 8, 0,
     "thanks thank thx"},
    {0, 15, 0,
     "grateful easy easier easiest easily quick quickly fast faster fastest fresh clean "
     "cleaner safe comfortable comfy affordable bargain worth worthwhile prompt promptly "
     "timely stable sturdy clear clearly"},
    {0, 12, 0,
     "resolved solved fixed sorted works worked working success successful successfully "
     "succeeded healthy calm confident correctly properly patient patience generous bonus"},
    {0, 10, 0,
     "fine decent okay alright adequate acceptable hope hopeful hopefully interested "
     "interesting luck lucky fair fairly support supportive trust trusted yes agree "
     "agreed accurate improve gain benefit benefits fit fits suitable ready eager"},
    {0, 8, 0,
     "like likes liked"},
    {MC_WORD_PLAIN, 0, 0,
     "support fairly clearly fixed clear interested ready agree yes welcome hope"},
    /* Blame. */
    {0, -38, 0,
     "fuck fucked shit shitty bullshit crap crappy garbage trash"},
    {0, -34, 0,
     "worst atrocious abysmal disgusting horrendous horrific despicable vile loathe "
     "scammers scammer scammed criminals thieves nightmare disaster disastrous "
     "catastrophe catastrophic"},
    {MC_WORD_FAMILY, -31, 0,
     "terrible horrible awful hate dreadful appalling outrage pathetic furious disgrace "
     "infuriate scam fraud unacceptable detest despise enrage rage abuse"},
    {0, -31, 0,
     "horribly terribly awfully hated hates hating outrageous disgraceful disgusted livid "
     "ripoff fraudulent shameful hell damned"},
    {MC_WORD_FAMILY, -25, 0,
     "angry frustrate useless ridiculous disappoint annoy rude poor incompetent irritate "
     "worthless upset insult inexcusable unprofessional mislead lousy ashamed aggravate "
     "dissatisfy unhappy miserable painful ruin steal lie"},
    {MC_WORD_PLAIN, 0, 0,
     "lie lies steal painting"},
    {0, -25, 0,
     "bad badly worse angrier sick fed joke mad lied lying liar liars stolen stole "
     "cheated cheat cheating deceptive dishonest hopeless junk rubbish sucks suck sucked "
     "wtf ugh cruel ugly nasty filthy unusable unreliable unsafe untrustworthy regret "
     "regrets ruined devastated devastating heartbroken tragic idiot idiots stupid dumb "
     "clueless mislead misled robbed robbery anger insane"},
    {MC_WORD_FAMILY, -19, 0,
     "fail crash broken break damage defect wrong hurt worry concern complain bother "
     "hassle unfair trouble stress confuse unfortunate inconvenient struggle glitch "
     "corrupt lose error bug freeze reject neglect ignore scare threaten exhaust"},
    {MC_WORD_PLAIN, 0, 0,
     "breakfast breaking concerning concern concerned errand broker frozen freezer freezers"},
    {0, -19, 0,
     "failed fails failing failure failures crashed crashes crashing broke broken damaged "
     "defective faulty wrong hurt hurts worried worrying complaint complaints complained "
     "unfair troubled stressful stressed confusing confused unfortunately inconvenience "
     "struggling buggy glitchy corrupted lost losing unhelpful unresponsive unclear "
     "overpriced rejected rejection ignored ignoring scared tired sad sadly cry crying "
     "disrespect disrespectful careless sloppy dirty smelly moldy rotten stale dangerous "
     "hazard waste wasted wasting overcharged overcharge unwanted unauthorized hacked "
     "breach victim suspicious sketchy poorly impossible fault nonsense absurd shame "
     "disconnected annoyance bored boring mediocre flimsy tedious clunky cumbersome "
     "ripped hostile cold-hearted pity dismissive dead died dying kill killing killed"},
    {0, -14, 0,
     "problem problems issue issues error errors bug bugs stuck slow slower slowly late "
     "delay delays delayed missing incorrect incorrectly difficult difficulty hard unable "
     "declined denied expensive costly cracked scratched torn bent leaking leaks noisy "
     "loud lag lagging laggy outage incomplete inaccurate outdated unstable flawed flaw "
     "flaws mistake mistakes mess messy complicated concerned concerning sorry doubt "
     "doubtful weak lacking lacks lack unexpected weird strange odd warning complain "
     "complaining refuses refused refuse invalid hung"},
    {0, -8, 0,
     "cancel canceled cancelled cancellation down blocked locked expired pain dispute "
     "limited wait waiting longer unsure uncertain unknown steep short unanswered never"},
    {MC_WORD_PLAIN, 0, 0,
     "never wait short down longer cancel cancelled canceled cancellation unknown hard "
     "locked"},
    /* Emoji. */
    {0, 30, 0,
     "❤ 😍 🥰 🤩 😻 💖 💕 🎉 🥳"},
    {0, 22, 0,
     "😀 😃 😄 😁 😊 🙂 😎 👍 👏 🙌 💯 🔥 😘 🤗 ☺ 💪 ⭐ 🌟 🎊 🙏 ✅ 👌 😇"},
    {0, 8, 0,
     "😂 🤣 😅 😉 😜"},
    {0, -30, 0,
     "😡 🤬 💩 🤮 👿 😤 🖕"},
    {0, -20, 0,
     "😠 😢 😭 👎 😞 😔 ☹ 🙁 😩 😫 😖 😣 💔 😰 😨 😱 😒 🙄 😕 😟 😧 😥 😓 🤦 ❌ 😾"},
};
/* clang-format on */
const size_t mc_lexicon_list_count = mc_countof(mc_lexicon_lists);

const char *const mc_lexicon_irregular[] = {
    "be am is are was were been being",
    "have has had having",
    "do does did done doing",
    "go goes went gone going",
    "say said says",
    "get got gotten",
    "make made",
    "know knew known",
    "think thought",
    "take took taken",
    "see saw seen",
    "come came",
    "give gave given",
    "find found",
    "tell told",
    "become became",
    "leave left",
    "feel felt",
    "put putting",
    "bring brought",
    "begin began begun",
    "keep kept",
    "hold held",
    "write wrote written",
    "stand stood",
    "hear heard",
    "mean meant",
    "meet met",
    "run ran running",
    "pay paid",
    "sit sat",
    "speak spoke spoken",
    "lead led",
    "grow grew grown",
    "lose lost",
    "fall fell fallen",
    "send sent",
    "build built",
    "understand understood",
    "draw drew drawn",
    "break broke broken",
    "spend spent",
    "rise rose risen",
    "drive drove driven",
    "buy bought",
    "wear wore worn",
    "choose chose chosen",
    "eat ate eaten",
    "sell sold",
    "catch caught",
    "teach taught",
    "win won",
    "forget forgot forgotten",
    "sleep slept",
    "fly flew flown",
    "fight fought",
    "throw threw thrown",
    "hide hid hidden",
    "steal stole stolen",
    "freeze froze frozen",
    "shake shook shaken",
    "tear tore torn",
    "swim swam swum",
    "sing sang sung",
    "drink drank drunk",
    "ring rang rung",
    "ride rode ridden",
    "wake woke woken",
    "bite bit bitten",
    "blow blew blown",
    "deal dealt",
    "dig dug",
    "feed fed",
    "hang hung",
    "lend lent",
    "light lit",
    "seek sought",
    "shoot shot",
    "stick stuck",
    "strike struck",
    "sweep swept",
    "bend bent",
    "bind bound",
    "bleed bled",
    "dream dreamt",
    "learn learnt",
    "burn burnt",
    "spell spelt",
    "withdraw withdrew withdrawn",
    "overpay overpaid",
    "mistake mistook mistaken",
    "rewrite rewrote rewritten",
    "rebuild rebuilt",
    "resend resent",
    "cut cutting",
    "child children",
    "person people",
    "man men",
    "woman women",
    "foot feet",
    "tooth teeth",
    "mouse mice",
    "goose geese",
    "life lives",
    "knife knives",
    "wife wives",
    "shelf shelves",
    "half halves",
    "datum data",
    "index indices indexes",
    "analysis analyses",
    "criterion criteria",
    "phenomenon phenomena",
    "matrix matrices",
    "vertex vertices",
    "appendix appendices",
    "basis bases",
    "crisis crises",
    "thesis theses",
    "medium media",
    "die dying died",
    "lie lying lied",
    "tie tying tied",
    "marry married marries",
    "swear swore sworn",
    "bear bore born",
    "shrink shrank shrunk",
    "sink sank sunk",
    "spring sprang sprung",
    "undo undid undone",
    "redo redid redone",
    "forbid forbade forbidden",
    "forgive forgave forgiven",
};
const size_t mc_lexicon_irregular_count = mc_countof(mc_lexicon_irregular);
