/* The default words of vocabulary/vocabulary.h. */
#include "base/compiler.h"
#include "vocabulary/vocabulary.h"

const char mc_vocabulary_categories[] =
    "support|billing|orders|technical|account|product|feedback|general|urgent";

const struct mc_vocabulary_topic_words mc_vocabulary_topics[] = {
    {"greeting", "general", "hello|hi there|good morning|good afternoon|good evening"},
    {"farewell", "general", "goodbye|good bye|bye|see you later|good night"},
    {"thanks", "general", "thank you|thank|thx|much appreciated"},
    {"help", "support",
     "assistance|assist|helpdesk|help desk|support|customer service|sos|helping hand"},
    {"feedback", "feedback",
     "suggestion|suggest|suggestions|review|rating|survey|testimonial|opinion|nps"},
    {"issue", "support technical",
     "issues|glitch|glitches|malfunction|defect|defective|faulty|fault|damaged|cracked|torn|"
     "leaking"},
    {"bug", "technical support",
     "bugs|buggy|crash|crashes|crashed|crashing|broken|freezes|froze up|frozen up|keeps freezing|"
     "frozen screen|screen is frozen|screen froze|app is frozen|app froze|page is frozen|"
     "page froze|computer is frozen|computer froze|phone is frozen|phone froze|hangs|regression|"
     "segfault|memory leak|not working|doesn't work|does not work|stopped working|"
     "isn't working|won't work|didn't work|doesnt work|isnt working|wont load|won't load|"
     "won't start|won't open"},
    {"error", "technical support",
     "errors|exception|stack trace|stacktrace|error message|error code|failure|failed|failing|"
     "fails|timeout|time out|timed out|500|404|502|503|unavailable|outage|down"},
    {"problem", "support", "problems|trouble|troubles|difficulty|difficulties|stuck|unable|wrong"},
    {"complaint", "feedback support",
     "complain|complaining|complained|unacceptable|dissatisfied|disappointed|escalate|"
     "escalation|terrible service|poor service|bad service|awful service|fed up|"
     "speak to a manager|lawyer"},
    {"billing", "billing",
     "bill|bills|billed|billing address|billing cycle|statement|overcharged|overcharge|"
     "double charged"},
    {"payment", "billing",
     "pay|pays|paid|paying|payments|credit card|debit card|card declined|paypal|visa|"
     "mastercard|amex|american express|apple pay|google pay|bank transfer|wire transfer|"
     "checkout|stripe|iban|direct debit|klarna|transaction|transactions|installment|"
     "installments|payment method"},
    {"refund", "billing",
     "refunds|refunded|return|returns|returned|returning|money back|reimburse|reimbursement|"
     "reimbursed|chargeback|send it back|send back|get my money|rma|store credit|exchange it|"
     "replacement"},
    {"cancellation", "billing",
     "cancel|cancels|cancelled|canceled|cancelling|canceling|terminate|termination|unsubscribe|"
     "opt out|stop my subscription|end my subscription|discontinue"},
    {"orders", "orders", "my orders|order history|past orders|all orders"},
    {"order", "orders",
     "ordered|ordering|reorder|preorder|pre order|order number|order status|ord|backorder"},
    {"purchase", "orders",
     "buy|buys|bought|buying|purchased|purchases|purchasing|cart|basket|shopping"},
    {"delivery", "orders",
     "deliver|delivers|delivered|delivering|deliveries|arrive|arrived|arrives|arriving|arrival|"
     "courier|driver|doorstep|never came|hasn't come|not received|never received|"
     "haven't received|didn't receive|estimated arrival|eta"},
    {"shipping", "orders",
     "ship|ships|shipped|shipment|shipments|dispatch|dispatched|freight|parcel|parcels|package|"
     "packages|postage|mailed|ups|fedex|usps|dhl|customs|in transit|overnight shipping|"
     "express shipping|carrier"},
    {"tracking", "orders",
     "track|tracked|track my|tracking number|tracking code|where is my|where's my package|"
     "where is it now"},
    {"invoice", "billing", "invoices|invoiced|invoicing|inv|tax invoice|vat invoice"},
    {"subscription", "billing",
     "subscribe|subscribed|subscribes|subscriptions|subscriber|membership|renew|renewal|"
     "renewed|renews|auto renew|plan|plans|premium|pro plan|free trial|trial|upgrade|upgraded|"
     "downgrade|downgraded|monthly plan|annual plan"},
    {"charge", "billing",
     "charged|charges|charged twice|fee|fees|debited|withdrawn|deducted|surcharge"},
    {"receipt", "billing", "receipts|proof of purchase|proof of payment"},
    {"feature", "product",
     "features|functionality|feature request|capability|capabilities|roadmap|dark mode|option|"
     "options|would be nice if|would be great if|please add|wish list"},
    {"product", "product",
     "products|item|items|model|merchandise|goods|stock|in stock|out of stock|size|color|"
     "colour|warranty|guarantee|spec|specs|specification|sku|catalog|catalogue"},
    {"service", "product", "services|uptime|sla"},
    {"pricing", "billing product",
     "price|prices|priced|cost|costs|expensive|cheap|cheaper|discount|discounts|coupon|coupons|"
     "promo|promo code|promotion|voucher|quote|rate|rates|how much|price list|tariff|"
     "overpriced|sale|deal|deals"},
    {"demo", "product",
     "demos|demonstration|walkthrough|walk through|product tour|showcase|webinar"},
    {"api", "technical",
     "apis|endpoint|endpoints|rest|graphql|webhook|webhooks|sdk|api key|api keys|rate limit|"
     "rate limits|oauth|json|curl|http|request body|cli|library"},
    {"integration", "technical",
     "integrations|integrate|integrates|integrated|integrating|plugin|plugins|connector|"
     "connectors|slack|zapier|salesforce|hubspot|jira|shopify|sync|syncs|syncing|import|export|"
     "connect to|extension"},
    {"setup", "technical",
     "set up|setting up|install|installs|installed|installing|installation|installer|"
     "onboarding|get started|getting started|deploy|deployed|deployment|deploying|activate|"
     "activation|docker|kubernetes|self host|migrate|migration"},
    {"configuration", "technical",
     "config|configs|configure|configured|configures|configuring|environment variable|yaml|env|"
     "dns|parameter|parameters|customize|customise"},
    {"documentation", "technical",
     "docs|doc|manual|guide|guides|tutorial|tutorials|readme|faq|knowledge base|instructions|"
     "how to|user guide|wiki"},
    {"account", "account",
     "accounts|acct|user account|sign up|signup|signed up|register|registered|registration|"
     "username|user name|delete my account|close my account|my data|deactivate"},
    {"login", "account",
     "log in|logs in|logged in|logging in|sign in|signed in|signing in|signin|logon|log on|"
     "log out|logout|sign out|locked out|sso|single sign on|authenticate|authentication|"
     "can't access|cannot access|2fa|mfa|two factor|verification code|otp|captcha"},
    {"password", "account",
     "passwords|pwd|passwd|passcode|passphrase|reset link|forgot my password|forgot password|"
     "credentials|credential|pin code"},
    {"settings", "account",
     "setting|preferences|preference|notification|notifications|language setting|time zone|"
     "timezone|email preferences|toggle"},
    {"profile", "account",
     "profiles|avatar|profile picture|profile photo|my address|change my address|phone number|"
     "change my email|change my name|display name|bio"},
    {"security", "account technical",
     "secure|vulnerability|vulnerabilities|hacked|hack|hacker|breach|breached|phishing|fraud|"
     "fraudulent|scam|unauthorized|unauthorised|suspicious|encryption|encrypted|gdpr|privacy|"
     "compromised|malware|stolen|ransomware|data leak"},
    {"general", "general", ""},
    {"other", "general", ""},
    {"unknown", "general", ""},
};
const size_t mc_vocabulary_topics_count = mc_countof(mc_vocabulary_topics);

const char mc_vocabulary_strangers[] =
    "production|productive|productivity|accountant|accounting|accountable|charging|charger|"
    "orderly|integrity|integral|document|documents|general|generally|generate|generation|"
    "generic|helpful|planet|planned|planning|returning customer|stocking|sized|rested|resting|"
    "modeling|serviceable|shopper|costume|saleable|dealer|dealing|dealt|guided|manually|tracks|"
    "billion|billions|prefer|prefers|preferred|preferring|supported|supports|supporting|"
    "featured|optional|optionally|driving|drive|drives|charged up|securely|wrongly|saled|"
    "payable|freeze|froze|frozen|freezing|freezer|freezers|in order to|in order that|in good "
    "order|out of order|order of magnitude|i plan|we "
    "plan|"
    "they plan|to plan a|to plan my|to plan our|to plan the|plan a trip";
