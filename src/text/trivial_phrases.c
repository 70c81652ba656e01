/* The phrases of text/trivial.h. A phrase in several lists has the part of the last one. */
#include "base/compiler.h"
#include "text/trivial.h"

const struct mc_trivial_phrases mc_trivial_phrases[] = {
    {MC_TRIVIAL_GREETING,
     "hi|hello|hey|hiya|hiiya|heya|hai|hallo|yo|howdy|greetings|salutations|sup|wassup|whassup|"
     "wazzup|good morning|good afternoon|good evening|good day|gday|g'day|good night to you|gm|"
     "ga|ge|hello there|hi there|hey there|hi again|hello again|hey again|welcome|welcome back|"
     "nice to meet you|pleased to meet you|nice to see you|good to see you|how are you|"
     "how are you doing|how are you today|how are you doing today|how r u|how are u|hru|"
     "how do you do|how is it going|how it going|hows it going|how goes it|how have you been|"
     "how've you been|what up|whats up|what is up|what new|whats new|how is everything|"
     "how everything|how things|how are things|hope you are well|hope you're well|"
     "hope you are doing well|hope you're doing well|i hope you are well|i hope you're well|"
     "i hope you are doing well|i hope you're doing well|anyone there|anybody there|"
     "is anyone there|is anybody there|are you there|you there|u there|anyone here|"
     "is anyone here|is anybody here|can you hear me|ahoy|aloha|namaste|long time no see|"
     "happy new year|merry christmas|happy holidays|happy birthday|happy easter|happy friday|"
     "happy monday|hello world|ping|knock knock|how can i help you|how can i help|"
     "how can i help you today|how may i help you|how may i help you today|"
     "how can i assist you|how can i assist you today|how may i assist you|"
     "how may i assist you today|what can i do for you|what can i do for you today|"
     "what can i help you with|what can i help you with today"},
    {MC_TRIVIAL_FAREWELL,
     "bye|bye bye|byebye|goodbye|good bye|bubye|buhbye|bb|bai|cya|see ya|see you|see u|cu|"
     "see you later|see you soon|see ya later|see you tomorrow|see you then|see you next time|"
     "see you around|laters|l8r|cul8r|ttyl|ttys|talk to you later|talk later|talk soon|"
     "talk to you soon|catch you later|until next time|till next time|until then|farewell|"
     "so long|take care|take it easy|good night|goodnight|gn|nighty night|night night|nite|"
     "have a good day|have a nice day|have a great day|have a good one|have a great one|"
     "have a nice one|have a good evening|have a nice evening|have a great evening|"
     "have a good night|have a good weekend|have a nice weekend|have a great weekend|"
     "have a good time|have a wonderful day|have a lovely day|have a great rest of your day|"
     "have a good rest of your day|have a blessed day|enjoy your day|enjoy your weekend|"
     "enjoy the rest of your day|you too|u too|same to you|and you too|cheerio|toodles|"
     "peace out|i'm off|i am off|im off|gtg|g2g|got to go|gotta go|i have to go|i gotta go|"
     "i've got to go|i must go|i need to go|have to go|must go|i'm leaving|i'm out|im out|"
     "signing off|logging off|best regards|kind regards|regards|sincerely|best wishes|"
     "warm regards|yours sincerely|all the best|that is all|that all|thats all|"
     "that is all for now|that all for now|thats all for now|that is all for today|"
     "that all for today|that will be all|that'll be all|that would be all|that is it for now|"
     "that it for now|i'm done|im done|i am done|i'm done here|all done|have a safe trip|"
     "safe travels|sleep well|sweet dreams|see you on monday|see you monday|adios amigo|ciao"},
    {MC_TRIVIAL_CONFIRMATION,
     "yes|yes please|yeah|yea|yeh|ye|yep|yeppers|yup|yuppers|yap|ya|yah|yass|yaas|y|yes yes|"
     "yes it is|yes i do|yes i did|yes i am|yes i have|yes i can|yes i would|yes it does|"
     "yes it did|yes they are|yes he is|yes she is|yes we are|yes we do|yes you can|"
     "yes of course|no i don't|no i didn't|no i'm not|no i am not|no it isn't|no it is not|"
     "no it doesn't|no it didn't|no i haven't|no i can't|no i won't|no you can't|sure|"
     "sure thing|for sure|fosho|of course|ofc|ofcourse|certainly|definitely|absolutely|indeed|"
     "that is correct|that correct|thats correct|that is right|that right|thats right|"
     "you're right|you are right|youre right|that is true|that true|thats true|exactly|"
     "exactly right|precisely|affirmative|agreed|i agree|agree|totally|by all means|go ahead|"
     "please go ahead|go for it|please do|do it|do that|please do that|please do it|let do it|"
     "lets do it|let do that|lets do that|let go|lets go|do so|proceed|please proceed|confirm|"
     "confirmed|i confirm|approved|sounds good|sounds great|sounds good to me|that sounds good|"
     "that sounds great|sounds like a plan|works for me|that works|that works for me|"
     "that would be great|that would be nice|that would be good|that would be perfect|"
     "that'd be great|that'd be good|that will work|that'll work|that will do|that'll do|"
     "fine by me|fine with me|good with me|i'm good with that|i am fine with that|"
     "i'm fine with that|i think so|i believe so|i guess so|i suppose so|i hope so|looks good|"
     "looks good to me|lgtm|all good|it all good|all set|i'm all set|yes sir|aye|aye aye|"
     "okie dokie|okey dokey|okey doke|oki doki|you bet|u bet|bet|deal|it a deal|no no|nope|nah|"
     "nay|naw|n|nopes|no way|not at all|not really|not yet|not now|not today|never mind|"
     "nevermind|nvm|of course not|certainly not|definitely not|absolutely not|no thanks|"
     "no thank you|no thx|no ty|i don't think so|i dont think so|don't think so|i guess not|"
     "i suppose not|not anymore|that is wrong|that wrong|that is not right|that not right|"
     "that is incorrect|i disagree|disagree|i'm good|im good|i am good|i'm fine|i'm ok|"
     "i'm okay|no need|not necessary|don't bother|maybe|perhaps|possibly|probably|maybe later|"
     "probably not|maybe not|either one|either is fine|whatever works|whichever|"
     "please continue|carry on|go on|keep going"},
    {MC_TRIVIAL_THANKS,
     "thanks|thank you|thank u|thankyou|thankyu|thnx|thanx|thx|thxs|tx|tnx|tks|thks|thnks|"
     "thanku|ty|tysm|tyvm|tyfyh|many thanks|much thanks|big thanks|thanks again|"
     "thanks in advance|tia|much appreciated|i appreciate it|appreciate it|appreciated|"
     "really appreciate it|i really appreciate it|appreciate that|i appreciate that|"
     "i really appreciate that|i appreciate your help|i really appreciate your help|"
     "i appreciate your time|i appreciate the help|appreciate your help|appreciate the help|"
     "appreciate you|cheers|ta|kudos|props|bless you|god bless|god bless you|you're the best|"
     "you are the best|youre the best|ur the best|you rock|u rock|you're awesome|"
     "you are awesome|you're amazing|you are amazing|you're great|you are great|you're a star|"
     "you are a star|you're a lifesaver|you are a lifesaver|lifesaver|you're a legend|"
     "you legend|legend|you saved my day|you saved me|you made my day|i'm grateful|"
     "i am grateful|so grateful|thanks to you|thanks for that|thank you for that|"
     "that was helpful|that is helpful|that helpful|thats helpful|very helpful|so helpful|"
     "that was very helpful|that is very helpful|that was really helpful|that helps|"
     "that helped|this helps|this helped|that helps a lot|that helped a lot|that is very kind|"
     "that very kind|so kind of you|that is so kind of you|thanks anyway|thank you anyway|"
     "well done|good job|great job|nice job|nice work|great work|good work|awesome work|"
     "excellent work|good bot"},
    {MC_TRIVIAL_FILLER,
     "hm|hmm|hum|um|umm|uh|uhh|uhm|erm|er|em|mm|mmm|eh|ah|aha|ahh|oh|ooh|ohh|aw|aww|argh|ugh|"
     "whoa|woah|wow|gosh|jeez|geez|omg|omfg|lol|lmao|lmfao|rofl|haha|ha|ha ha|hehe|he he|hihi|"
     "heh|hah|xd|lul|kek|brb|afk|bbl|btw|fyi|idk|dunno|idc|imo|tbh|smh|ikr|welp|meh|pff|pfft|"
     "phew|psst|shh|tsk|boo|yay|yey|hooray|woohoo|woo hoo|yippee|oops|well|well well|so|anyway|"
     "anyways|anyhow|you know|i mean|let me think|let me see|let see|lets see|let me check|"
     "one moment|one moment please|just a moment|just a moment please|just a sec|just a second|"
     "one sec|one second|one minute|just a minute|a moment please|moment please|1 sec|1 min|"
     "give me a moment|give me a second|give me a sec|give me a minute|gimme a sec|hold on|"
     "hold on a sec|hold on a second|hold on please|please hold|please wait|wait|wait a second|"
     "wait a sec|wait a minute|wait a moment|hang on|hang on a sec|be right back|i'm back|"
     "im back|i am here|i'm here|im here|just testing|this is a test|test test|asdf|qwerty|"
     "blah|blah blah|bla|bla bla|whatever|who knows|i don't know|i dont know|don't know|"
     "not sure|i'm not sure|im not sure|i am not sure|no idea|i have no idea|no clue|why not|"
     "same|same here|me too|me neither|oh my|oh my god|oh my gosh|oh dear|oh boy|oh man|"
     "oh well|oh no|nm|nothing much|not much|just looking|just browsing"},
    {MC_TRIVIAL_QUESTION_WORD,
     "wat|wut|whut|why though|which one|which ones|how so|how come|how much|how many|how long|"
     "how often|how far|how soon|since when|until when|what time|what else|who else|where else|"
     "what then|what now|what next|and then|and now|then what|now what|so what|what for|"
     "for what|what if|says who|to whom|with whom|with what|from where|where to|where from|"
     "where exactly|when exactly|what exactly|how exactly|why exactly|which exactly|huh|"
     "eh what|come again|pardon|pardon me|say what|excuse me what|what is it|what is that|"
     "what is this|what that|what this|whats that|whats this|who is it|who is that|really|"
     "seriously|srsly|for real|fr|is that so|is that right|are you sure|you sure|r u sure|"
     "are you serious|are you kidding|are you kidding me|wtf|wth|but why|but how|and why|"
     "and how|such as|like what|for example|anything else|is there anything else|"
     "is there anything else i can help you with|is there anything else i can help with|"
     "is there anything else i can do for you|anything else i can help you with|"
     "anything else i can help with|can i help you with anything else|"
     "is there anything else you need|do you need anything else|"
     "do you need any further assistance|any questions|ok and|what do you mean|wdym"},
    {MC_TRIVIAL_ACKNOWLEDGMENT,
     "ok|okay|okey|oke|okie|oki|okk|okayy|k|kk|kay|mkay|mmkay|okok|ok ok|ok then|okay then|"
     "alright|all right|alrighty|alrighty then|aight|ight|got it|gotcha|gotchu|i got it|"
     "i get it|i got that|got that|understood|i understand|i see|ic|oic|ah i see|oh i see|"
     "i understand now|i get it now|i see now|now i see|now i get it|now i understand|"
     "makes sense|that makes sense|makes sense now|it makes sense|that makes sense now|noted|"
     "duly noted|well noted|roger|roger that|copy|copy that|10 4|ack|acknowledged|will do|"
     "on it|i'm on it|i'll do that|i will do that|i'll try that|i will try that|i'll try|"
     "i will try|let me try|let me try that|i'll check|i will check|i'll take a look|"
     "i will take a look|i'll have a look|i'll wait|i will wait|i'll be waiting|take your time|"
     "fair enough|fair|point taken|good point|good to know|good to hear|great to hear|"
     "glad to hear|glad to hear it|glad to hear that|happy to hear that|happy to hear it|"
     "nice to know|nice to hear|interesting|very interesting|cool|cool cool|very cool|so cool|"
     "that is cool|that cool|thats cool|cool beans|coolio|nice|very nice|nice one|so nice|"
     "that is nice|that nice|thats nice|neat|sweet|great|that is great|that great|thats great|"
     "great stuff|great news|good news|awesome|that is awesome|that awesome|thats awesome|"
     "awesome sauce|perfect|that is perfect|that perfect|thats perfect|excellent|amazing|"
     "that is amazing|that amazing|fantastic|wonderful|brilliant|lovely|superb|very good|"
     "so good|pretty good|all good now|that is good|that good|thats good|that is fine|"
     "that fine|thats fine|it fine|it is fine|just fine|not bad|no problem|no problemo|no prob|"
     "no probs|np|nps|no worries|no worry|no biggie|nw|yw|ur welcome|you are welcome|"
     "you're welcome|youre welcome|you are very welcome|you're very welcome|"
     "you're most welcome|youre very welcome|my pleasure|it my pleasure|it was my pleasure|"
     "pleasure|anytime|any time|don't mention it|dont mention it|don't worry|dont worry|"
     "don't worry about it|no problem at all|not a problem|it ok|it is ok|it okay|it is okay|"
     "its ok|its okay|its fine|that ok|that is ok|that okay|that is okay|thats ok|thats okay|"
     "happy to help|glad to help|i'm happy to help|glad i could help|happy i could help|"
     "glad i could be of help|i'm glad i could help|glad to be of help|let me know|"
     "let me know if you need anything|let me know if you need anything else|"
     "let me know if you have any questions|let me know if you have any other questions|"
     "let me know if you need any help|let me know if you need more help|"
     "if you need anything else just let me know|feel free to ask|feel free to reach out|"
     "as you wish|very well|so be it|i know that|i thought so|as expected|obviously|clearly|"
     "naturally|gg|hurray|bravo|congrats|congratulations|well done you|way to go|good luck|"
     "best of luck|good for you|happy for you|it works|it works now|that worked|it worked|"
     "it is working now|it working now|problem solved"},
    {MC_TRIVIAL_APOLOGY,
     "sorry|sry|srry|soz|so sorry|very sorry|i'm sorry|im sorry|i am sorry|i'm so sorry|"
     "im so sorry|i am so sorry|i'm very sorry|i am very sorry|i'm really sorry|"
     "sorry about that|sorry about this|sorry for that|i'm sorry about that|"
     "i am sorry about that|i'm sorry for that|sorry for the trouble|sorry for the delay|"
     "sorry for the late reply|sorry for the confusion|sorry for the inconvenience|"
     "sorry to bother you|sorry to bother|sorry for bothering you|sorry for the wait|"
     "sorry for the mess|my apologies|apologies|my sincere apologies|sincere apologies|"
     "apologies for that|apologies for the delay|apologies for the confusion|"
     "apologies for the inconvenience|we apologize for the inconvenience|"
     "i apologize for the inconvenience|i apologize for the confusion|i apologize for that|"
     "i apologize|i apologise|please accept my apologies|my bad|mb|my fault|my mistake|"
     "that was my mistake|that is my fault|that my fault|forgive me|please forgive me|"
     "excuse me|pardon my mistake|oops sorry|whoops|whoopsie|oopsie|sorry my bad|"
     "sorry to hear that|i'm sorry to hear that|i am sorry to hear that|no offense|"
     "didn't mean to|i didn't mean to|i didn't mean that|beg your pardon|i beg your pardon"},
    /* Never first and never alone. */
    {MC_TRIVIAL_TAIL,
     "there|guys|folks|friend|friends|my friend|buddy|mate|bro|dude|sir|madam|ma'am|maam|miss|"
     "boss|pal|dear|please|pls|plz|plss|so much|very much|so very much|a lot|alot|a bunch|"
     "a ton|a million|tons|lots|loads|again|anyway|in advance|for your help|for the help|"
     "for all your help|for all the help|for all of your help|for helping|for helping me|"
     "for helping out|for your time|for your support|for the support|for your assistance|"
     "for the assistance|for your patience|for your understanding|for your reply|for the reply|"
     "for the quick reply|for your quick reply|for the quick response|for your quick response|"
     "for the fast reply|for the fast response|for your response|for the response|"
     "for your answer|for the answer|for the info|for the information|for the update|"
     "for the heads up|for the tip|for the tips|for the clarification|for clarifying|"
     "for explaining|for the explanation|for letting me know|for getting back to me|"
     "for reaching out|for everything|for that|for this|for it|for asking|for the feedback|"
     "for your feedback|for contacting us|for your message|for waiting|for checking|"
     "for sharing|for now|for today|to you|to you all|to you too|to all|to everyone|indeed|"
     "then|now|too|today|tomorrow|tonight|soon|and|though|tho|haha|lol|yours|as well|of you|"
     "right away|at all|really|very|honestly|man oh man|if you do not mind|if you don't mind|"
     "when you can|when you have time|bye for now|and have a nice day|and have a good day|"
     "and have a great day|and have a great weekend|and good night|and take care|and thanks|"
     "and thank you|and good morning|and hello|and sorry|from me|on that|with that|all around|"
     "with me|by me"},
    /* Spanish. */
    {MC_TRIVIAL_GREETING,
     "hola|buenas|buenos días|buenos dias|buen día|buen dia|buenas tardes|buenas noches|"
     "qué tal|que tal|cómo estás|como estas|cómo está|como esta|cómo está usted|qué onda|"
     "que onda|hola qué tal|muy buenas|bienvenido|saludos"},
    {MC_TRIVIAL_THANKS,
     "gracias|muchas gracias|mil gracias|muchísimas gracias|muchisimas gracias|"
     "gracias por tu ayuda|gracias por su ayuda|gracias por todo|te lo agradezco|"
     "se lo agradezco|muy amable|grax"},
    {MC_TRIVIAL_CONFIRMATION,
     "sí|si|sí por favor|si por favor|claro|claro que sí|claro que si|por supuesto|vale|"
     "de acuerdo|correcto|exacto|así es|asi es|está bien|esta bien|no gracias|para nada|"
     "desde luego|dale"},
    {MC_TRIVIAL_FAREWELL,
     "adiós|adios|hasta luego|hasta mañana|hasta manana|hasta pronto|nos vemos|chao|chau|"
     "que tenga un buen día|que tengas un buen día|cuídate|cuidate"},
    {MC_TRIVIAL_APOLOGY, "lo siento|perdón|perdon|disculpa|disculpe|lo siento mucho|mil disculpas"},
    {MC_TRIVIAL_ACKNOWLEDGMENT, "de nada|entendido|perfecto|genial|muy bien|listo|entiendo"},
    {MC_TRIVIAL_QUESTION_WORD,
     "qué|por qué|cómo|cuándo|dónde|quién|cuál|cuánto|cuando|donde|quien|cual|cuanto"},
    {MC_TRIVIAL_TAIL, "por favor|a todos|amigo|amiga|señor|señora"},
    /* Portuguese. */
    {MC_TRIVIAL_GREETING, "olá|ola|oi|bom dia|boa tarde|boa noite|tudo bem|tudo bom|como vai|"
                          "como está|e aí|e ai|oi tudo bem|olá tudo bem|bem vindo"},
    {MC_TRIVIAL_THANKS,
     "obrigado|obrigada|muito obrigado|muito obrigada|valeu|obg|brigado|brigada|agradeço|"
     "obrigado pela ajuda|obrigada pela ajuda|obrigadão"},
    {MC_TRIVIAL_CONFIRMATION,
     "sim|sim por favor|não obrigado|não obrigada|nao obrigado|claro que sim|com certeza|"
     "isso mesmo|está bem|tá bom|ta bom|pode ser|exatamente"},
    {MC_TRIVIAL_FAREWELL, "tchau|até logo|ate logo|até mais|ate mais|até amanhã|adeus|até breve"},
    {MC_TRIVIAL_APOLOGY, "desculpa|desculpe|sinto muito|perdão|foi mal|me desculpe"},
    {MC_TRIVIAL_ACKNOWLEDGMENT, "de nada|entendi|perfeito|beleza|blz|ótimo|muito bem|imagina"},
    /* French. */
    {MC_TRIVIAL_GREETING,
     "bonjour|bonsoir|salut|coucou|ça va|ca va|comment ça va|comment ca va|comment allez vous|"
     "bonjour à tous|bienvenue|bonne journée à vous|enchanté|enchantée"},
    {MC_TRIVIAL_THANKS,
     "merci|merci beaucoup|mille mercis|merci bien|merci infiniment|grand merci|un grand merci|"
     "merci pour votre aide|merci pour ton aide|merci pour tout|merci d'avance|"
     "je vous remercie|je te remercie|mci"},
    {MC_TRIVIAL_CONFIRMATION,
     "oui|ouais|oui s'il vous plaît|oui s'il te plaît|non merci|bien sûr|bien sur|d'accord|dac|"
     "exactement|c'est ça|c'est bon|tout à fait|absolument|évidemment|si si|pas du tout|"
     "oui merci"},
    {MC_TRIVIAL_FAREWELL,
     "au revoir|à bientôt|a bientot|à plus|à demain|bonne journée|bonne soirée|bonne nuit|"
     "à tout à l'heure|bon week end|cordialement|adieu|à la prochaine"},
    {MC_TRIVIAL_APOLOGY,
     "désolé|désolée|desole|pardon|excusez moi|excuse moi|je suis désolé|je suis désolée|"
     "toutes mes excuses"},
    {MC_TRIVIAL_ACKNOWLEDGMENT,
     "de rien|je vous en prie|je t'en prie|compris|j'ai compris|parfait|super|très bien|"
     "tres bien|pas de problème|pas de souci|entendu|ça marche|génial|avec plaisir"},
    {MC_TRIVIAL_QUESTION_WORD, "quoi|pourquoi|comment|quand|où|qui|quel|quelle|combien|hein"},
    {MC_TRIVIAL_TAIL,
     "s'il vous plaît|s'il te plaît|svp|stp|à vous|à vous aussi|à tous|monsieur|madame"},
    /* German. */
    {MC_TRIVIAL_GREETING,
     "guten tag|guten morgen|guten abend|grüss gott|grüß gott|gruss gott|servus|moin|moin moin|"
     "morgen|tach|wie geht's|wie geht|wie geht es dir|wie geht es ihnen|wie gehts|grüezi|"
     "grüß dich|hallo zusammen|willkommen|mahlzeit"},
    {MC_TRIVIAL_THANKS,
     "danke|danke schön|dankeschön|danke schoen|danke sehr|vielen dank|herzlichen dank|"
     "besten dank|tausend dank|ich danke ihnen|ich danke dir|danke für die hilfe|"
     "danke für ihre hilfe|danke für deine hilfe|vielen lieben dank|schönen dank|"
     "merci vielmals|danke dir|danke ihnen|danke im voraus|vielen dank für die hilfe|"
     "vielen dank für ihre hilfe"},
    {MC_TRIVIAL_CONFIRMATION,
     "ja|ja bitte|jawohl|jo|jep|nee|nö|nein danke|natürlich|klar|na klar|sicher|genau|richtig|"
     "stimmt|einverstanden|in ordnung|auf jeden fall|selbstverständlich|gerne|sehr gerne|"
     "ja gerne|passt|ja genau|doch|auf keinen fall"},
    {MC_TRIVIAL_FAREWELL,
     "tschüss|tschüs|tschuess|auf wiedersehen|bis bald|bis später|bis morgen|bis dann|"
     "schönen tag noch|schönen tag|einen schönen tag|gute nacht|schönes wochenende|"
     "mit freundlichen grüßen|mfg|viele grüße|liebe grüße|mach's gut|schönen abend noch"},
    {MC_TRIVIAL_APOLOGY,
     "entschuldigung|entschuldigen sie|entschuldige|tut mir leid|es tut mir leid|verzeihung|sorry"},
    {MC_TRIVIAL_ACKNOWLEDGMENT,
     "bitte|bitte schön|bitte sehr|gern geschehen|verstanden|ich verstehe|alles klar|sehr gut|"
     "prima|toll|ach so|achso|kein problem|keine ursache|perfekt|okay gut|alles gut"},
    {MC_TRIVIAL_QUESTION_WORD, "warum|wieso|wann|welche|welcher|wie bitte|wieviel|wie viel"},
    /* Italian. */
    {MC_TRIVIAL_GREETING,
     "buongiorno|buon giorno|buonasera|buona sera|salve|come stai|come sta|come va|benvenuto|"
     "buon pomeriggio|piacere"},
    {MC_TRIVIAL_THANKS,
     "grazie|grazie mille|molte grazie|grazie tante|ti ringrazio|la ringrazio|"
     "grazie per l'aiuto|grazie di tutto|grazie a te|tante grazie|grazie infinite"},
    {MC_TRIVIAL_CONFIRMATION,
     "sì|sì grazie|si grazie|no grazie|certamente|d'accordo|va bene|esatto|giusto|ovviamente|"
     "assolutamente|sì per favore|perfettamente"},
    {MC_TRIVIAL_FAREWELL, "arrivederci|a presto|a dopo|a domani|buonanotte|buona notte|"
                          "buona giornata|buona serata|addio|ciao ciao|cordiali saluti"},
    {MC_TRIVIAL_APOLOGY, "scusa|scusi|mi dispiace|mi scusi|scusami|scusate|chiedo scusa"},
    {MC_TRIVIAL_ACKNOWLEDGMENT,
     "prego|capito|ho capito|perfetto|bene|molto bene|ottimo|figurati|di niente"},
    {MC_TRIVIAL_QUESTION_WORD, "che cosa|cosa|perché|perche|quando|dove|chi|quale|quanto"},
    /* Russian. */
    {MC_TRIVIAL_GREETING,
     "привет|здравствуйте|здравствуй|добрый день|доброе утро|добрый вечер|приветик|хай|"
     "как дела|доброго дня|как вы|приветствую|всем привет|доброго времени суток"},
    {MC_TRIVIAL_THANKS,
     "спасибо|большое спасибо|спасибо большое|огромное спасибо|благодарю|благодарю вас|"
     "спасибо за помощь|спс|спасибки|спасибо вам|спасибо огромное"},
    {MC_TRIVIAL_CONFIRMATION,
     "да|да пожалуйста|ага|угу|конечно|разумеется|точно|верно|правильно|нет спасибо|неа|"
     "не надо|согласен|согласна|хорошо|давай|давайте|да конечно|именно|да спасибо"},
    {MC_TRIVIAL_FAREWELL,
     "до свидания|пока|пока пока|до встречи|до завтра|всего доброго|всего хорошего|"
     "спокойной ночи|удачи|хорошего дня|увидимся"},
    {MC_TRIVIAL_APOLOGY, "извините|извини|простите|прости|прошу прощения|мне жаль|сорри"},
    {MC_TRIVIAL_ACKNOWLEDGMENT,
     "понятно|понял|поняла|ясно|отлично|супер|ладно|окей|ок|пожалуйста|не за что|прекрасно|"
     "хорошо понял|замечательно|класс|здорово"},
    {MC_TRIVIAL_QUESTION_WORD, "что|почему|как|когда|где|кто|зачем|какой|какая|сколько|куда"},
    {MC_TRIVIAL_FILLER, "ну|хм|эм|ой|ах|блин|хаха|хехе"},
    /* Chinese, simplified and traditional. */
    {MC_TRIVIAL_GREETING,
     "你好|您好|你 好|嗨|哈喽|哈啰|早上好|早安|早|下午好|晚上好|大家好|在吗|在嗎|在么|你好吗|"
     "你好嗎|喂"},
    {MC_TRIVIAL_THANKS, "谢谢|謝謝|谢谢你|謝謝你|谢谢您|謝謝您|多谢|多謝|非常感谢|非常感謝|"
                        "感谢|感謝|谢了|谢啦|太感谢了|十分感谢|谢谢帮助|谢谢你的帮助|"
                        "谢谢您的帮助"},
    {MC_TRIVIAL_CONFIRMATION, "是的|对|對|对的|對的|好|好的|可以|行|没错|沒錯|当然|當然|不用了|"
                              "确定|確定|同意|嗯好的|好啊|好吧|好呀|不谢谢|不用谢谢"},
    {MC_TRIVIAL_FAREWELL, "再见|再見|拜拜|回头见|明天见|晚安|下次见|保重|再会"},
    {MC_TRIVIAL_APOLOGY, "对不起|對不起|抱歉|不好意思|很抱歉|非常抱歉"},
    {MC_TRIVIAL_ACKNOWLEDGMENT, "知道了|明白|明白了|了解|收到|不客气|不客氣|没关系|沒關係|没事|"
                                "太好了|不错|很好|懂了|厉害|不用谢"},
    {MC_TRIVIAL_QUESTION_WORD,
     "什么|什麼|为什么|為什麼|怎么|怎麼|哪里|哪裡|谁|誰|多少|几点|啥|怎么了|真的吗"},
    {MC_TRIVIAL_FILLER, "嗯|哦|啊|呃|哈哈|呵呵|嘿嘿|额|哎|唉"},
    {MC_TRIVIAL_TAIL, "了|啊|呀|啦|吧|哦"},
    /* Japanese. */
    {MC_TRIVIAL_GREETING,
     "こんにちは|こんにちわ|こんばんは|おはよう|おはようございます|もしもし|はじめまして|"
     "お疲れ様です|お疲れさまです|お世話になっております|お世話になります|やあ|"
     "よろしくお願いします|よろしく"},
    {MC_TRIVIAL_THANKS,
     "ありがとう|ありがとうございます|ありがとうございました|どうもありがとう|どうも|"
     "どうもありがとうございます|有難うございます|有難う|感謝します|サンキュー|助かりました|"
     "助かります"},
    {MC_TRIVIAL_CONFIRMATION, "はい|うん|ええ|そうです|その通りです|もちろん|いいですよ|"
                              "いいです|お願いします|はいお願いします|ううん|違います|結構です|"
                              "大丈夫です|いいえ結構です|そうですね|そう"},
    {MC_TRIVIAL_FAREWELL, "さようなら|さよなら|じゃあね|またね|また明日|おやすみ|"
                          "おやすみなさい|失礼します|バイバイ|ではまた"},
    {MC_TRIVIAL_APOLOGY,
     "すみません|ごめん|ごめんなさい|申し訳ありません|申し訳ございません|失礼しました|すいません"},
    {MC_TRIVIAL_ACKNOWLEDGMENT, "わかりました|分かりました|了解|了解です|了解しました|"
                                "承知しました|なるほど|オーケー|どういたしまして|"
                                "かしこまりました|すごい|いいね|わかった|分かった|素晴らしい"},
    {MC_TRIVIAL_QUESTION_WORD,
     "何|なぜ|どうして|いつ|どこ|誰|どうやって|なんで|え|本当|本当ですか|本当に"},
    {MC_TRIVIAL_FILLER, "えっと|あの|ええと|うーん|へえ|ふーん|あ|あー"},
    /* Hindi. */
    {MC_TRIVIAL_GREETING, "नमस्ते|नमस्कार|सुप्रभात|प्रणाम|हैलो|हेलो|कैसे हैं आप|आप कैसे हैं|कैसे हो|शुभ संध्या|शुभ प्रभात|"
                          "namaskar|kaise ho|aap kaise hain"},
    {MC_TRIVIAL_THANKS,
     "धन्यवाद|शुक्रिया|बहुत धन्यवाद|बहुत बहुत धन्यवाद|बहुत शुक्रिया|आपका धन्यवाद|थैंक यू|dhanyavad|"
     "dhanyawad|shukriya|bahut dhanyavad"},
    {MC_TRIVIAL_CONFIRMATION, "हाँ|हां|जी|जी हाँ|जी हां|बिल्कुल|सही|ठीक|जी नहीं|बिलकुल|haan|"
                              "nahi|nahin|ji haan|bilkul|haan ji|हाँ जी"},
    {MC_TRIVIAL_FAREWELL, "अलविदा|फिर मिलेंगे|शुभ रात्रि|बाय|alvida|phir milenge"},
    {MC_TRIVIAL_APOLOGY, "माफ़ कीजिए|माफ कीजिए|माफ़ करें|माफ करें|क्षमा करें|सॉरी|maaf kijiye"},
    {MC_TRIVIAL_ACKNOWLEDGMENT, "ठीक है|अच्छा|समझ गया|समझ गई|बढ़िया|बहुत अच्छा|ओके|theek hai|"
                                "thik hai|accha|acha|samajh gaya|koi baat nahi|कोई बात नहीं"},
    {MC_TRIVIAL_QUESTION_WORD, "क्या|क्यों|कैसे|कब|कहाँ|कौन|kya|kyun|kaise"},
    /* Arabic. */
    {MC_TRIVIAL_GREETING,
     "مرحبا|مرحبًا|أهلا|أهلا وسهلا|اهلا|السلام عليكم|وعليكم السلام|صباح الخير|مساء الخير|"
     "كيف حالك|هلا|هاي|سلام|صباح النور|مساء النور|السلام عليكم ورحمة الله وبركاته|"
     "السلام عليكم ورحمة الله"},
    {MC_TRIVIAL_THANKS,
     "شكرا|شكراً|شكرًا|شكرا جزيلا|شكراً جزيلاً|شكرا لك|شكرا لكم|ألف شكر|مشكور|جزاك الله خيرا|متشكر|"
     "شكرا جدا|يعطيك العافية"},
    {MC_TRIVIAL_CONFIRMATION,
     "نعم|أجل|ايوه|أيوه|اي|طبعا|بالتأكيد|بالطبع|صحيح|موافق|لا شكرا|أكيد|اكيد|نعم من فضلك|تمام"},
    {MC_TRIVIAL_FAREWELL, "مع السلامة|وداعا|إلى اللقاء|الى اللقاء|تصبح على خير|باي|في أمان الله"},
    {MC_TRIVIAL_APOLOGY, "آسف|اسف|آسفة|عذرا|عذراً|أعتذر|المعذرة|معذرة"},
    {MC_TRIVIAL_ACKNOWLEDGMENT,
     "حسنا|حسناً|فهمت|مفهوم|عفوا|عفواً|ممتاز|جيد|رائع|طيب|ماشي|اوكي|لا مشكلة"},
    {MC_TRIVIAL_QUESTION_WORD, "ماذا|لماذا|كيف|متى|أين|من|كم|ليش|ما هذا"},
    /* What may mean something else next to other words. */
    {MC_TRIVIAL_CONFIRMATION | MC_TRIVIAL_ALONE,
     "no|noo|no no no|no way|it is|it does|it did|it is not|it isn't|it's not|i don't|i didn't|"
     "i do|i am|i did|i have|i would|never|nothing|nothing else|wrong|incorrect|stop|skip|next|"
     "continue|both|either|neither|none|none of them|done|done deal|negative|positive|right|"
     "correct|true|non|não|nao|não não|nein|нет|नहीं|ना|لا|كلا|不|是|不是|不行|不要|不用|没有|"
     "沒有|不对|不是的|いいえ|いや|isso|certo"},
    {MC_TRIVIAL_ACKNOWLEDGMENT | MC_TRIVIAL_ALONE,
     "received|solved|fixed|resolved|works now|working now|sorted|all sorted|word|facts|lit|"
     "dope|solid|i will|i know|good|fine|gut|bueno|legal|waiting|entendi|entiendo|ho capito|"
     "capito|compris|j'ai compris|verstanden|понял|поняла|понятно|ясно|मैं समझ गया|समझ गया|"
     "समझ गई|مفهوم|فهمت|收到|明白|明白了|懂了|知道了|了解"},
    {MC_TRIVIAL_FAREWELL | MC_TRIVIAL_ALONE,
     "best|later|peace|night|that is it|that's it|thats it"},
    {MC_TRIVIAL_GREETING | MC_TRIVIAL_ALONE, "morning|afternoon|evening"},
    {MC_TRIVIAL_FILLER | MC_TRIVIAL_ALONE, "back|test|testing"},
    {MC_TRIVIAL_QUESTION_WORD | MC_TRIVIAL_ALONE,
     "what|why|how|when|where|who|whom|whose|which|is it|meaning|come|was|wie|wo|wer|warum|"
     "什么|什麼|为什么|為什麼|怎么|怎麼|哪里|哪裡|谁|誰|多少|几点|何|なぜ|どうして|いつ|どこ|"
     "что|как|क्या|क्यों|كيف|متى"},
    {MC_TRIVIAL_CONFIRMATION, "oh no|um no|uh no|well no|no sir|no no|no worries no"},
    {MC_TRIVIAL_ADDRESS,
     "support|support team|robot|agent|bot|assistant|ai|chatbot|doc|team|all|everyone|"
     "everybody|customer service|customer support|folks|love|man"},
    /* Emoji; all others are fillers. */
    {MC_TRIVIAL_CONFIRMATION, "👍|👌|✅|🆗|🤝|💯|☑|✔|👎|❌|🙆|🫡"},
    {MC_TRIVIAL_THANKS, "🙏|💐|🙇"},
    {MC_TRIVIAL_GREETING, "👋|🙋|🖖"},
    {MC_TRIVIAL_QUESTION_WORD, "❓|❔|⁉|🤷"},
};
const size_t mc_trivial_phrases_count = mc_countof(mc_trivial_phrases);
