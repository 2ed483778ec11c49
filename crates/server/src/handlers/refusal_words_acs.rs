//! Why the ACS turned somebody away, or what a CPE did wrong in its session: by name, what happened,
//! and what to do. The words of all of them are made in `refusal_words`.

/// Requests that were not answered as the sender hoped.
pub const TRANSPORT: &[(&str, &str, &str)] = &[
    (
        "too-many-sessions",
        "The server has as many sessions as it may, and told a device to come again",
        "Nothing, it comes again by itself; if it stays, more nodes carry more.",
    ),
    (
        "too-many-bodies",
        "The server holds as many messages in memory as it may, and told a device to come again",
        "Nothing, it comes again by itself; if it stays, look for devices that send whole data models.",
    ),
    (
        "too-many-failures",
        "Too much that came from one network showed a wrong name, password or key, and it was told to come again",
        "Look at the other refusals from this address for who is set up wrong; if it is a load balancer of yours, name it in cwmp.proxies.",
    ),
    (
        "body-too-large",
        "The device sent a message larger than any may be (413)",
        "Look at what it is asked for; it should be asked for less at once.",
    ),
    (
        "body-slow",
        "The device began a message and did not end it in time (408)",
        "Its line is bad or its client hangs; it tries again by itself.",
    ),
    (
        "body-broken",
        "The connection broke in the middle of a message",
        "Its line is bad or its client gives up early; it tries again by itself.",
    ),
    (
        "body-encoding",
        "The device compresses in a way that this server does not know (415)",
        "Set HTTPCompression on the device to GZIP, Deflate or Disabled.",
    ),
    (
        "body-garbled",
        "The device sent a message that is not compressed as it says",
        "Set HTTPCompression on the device to Disabled, and look for another firmware.",
    ),
    (
        "no-session",
        "The device went on with a session that this server does not know, or began one without an Inform",
        "Nothing if it happens once, as after a restart; else the device loses its cookie, or a load balancer sends it to another server.",
    ),
    (
        "no-cookie-behind-proxy",
        "The device sends no cookie back, and the proxy before it does not tell the port of its connection, or makes another one for each message: after its Inform it cannot go on",
        "Let the proxy tell address and port in X-Forwarded-For (operating.md, Load balancers, has lines for nginx and HAProxy).",
    ),
    (
        "foreign-cookie",
        "The device showed the session cookie of another device, and was sent away (403); the session of the other one goes on",
        "Something between the devices and this server mixes up their cookies, or devices were copied with what they keep: look at proxies, and for another firmware.",
    ),
    (
        "session-elsewhere",
        "The device has a session on another node",
        "Let the load balancer keep a device on one node while its connection or cookie lasts.",
    ),
];

/// What a device did wrong in a session.
pub const CONDUCT: &[(&str, &str, &str)] = &[
    (
        "broken-message",
        "The device sent a message that cannot be read",
        "Its client is defective, or something on the way changes what it sends; the detail says where.",
    ),
    (
        "out-of-turn",
        "The device spoke before it was answered",
        "Its client is defective; look for another firmware.",
    ),
    (
        "message-limit",
        "The device sent a message beyond a limit",
        "The detail says which; ask the device for less at once, or look for another firmware.",
    ),
    (
        "values-limit",
        "The device told more values than are kept of one, and the new ones were left out",
        "Look at the names it reports; one that makes up new names all the time needs another firmware, or fewer notifications.",
    ),
    (
        "unknown-header",
        "The device insists on a SOAP header that this server does not know (mustUnderstand)",
        "A request with it was refused with the fault MustUnderstand and nothing of it was done; an answer with it was taken without it. Look for another firmware, or for a setting of the device that adds it.",
    ),
    (
        "second-message",
        "The device sent two messages in one",
        "Of two in one body nothing was done, and it was told so (8003); what follows a whole envelope or an answer was left out, and it has to say it again. Its client is defective; look for another firmware.",
    ),
    (
        "unknown-method",
        "The device called a method that this server does not serve, and was told so (8000)",
        "Nothing: it goes on without.",
    ),
    (
        "unasked-answer",
        "The device answered what it was not asked",
        "Its client is defective; the session went on.",
    ),
    (
        "another-device",
        "A device called itself otherwise in the middle of its session, and was asked who it is",
        "A proxy that carries several devices over one connection has to be named in cwmp.proxies.",
    ),
    (
        "session-replaced",
        "The device began a session while another one of it was open; the newer one goes on",
        "Nothing if it happens once, as after a restart or on a bad line; else two devices have the same serial number: compare where both come from.",
    ),
    (
        "session-silence",
        "The device fell silent in the middle of its session",
        "Often it was switched off or lost its line; if it stays, look at what it was asked last.",
    ),
    (
        "session-limit",
        "The device said more in one session than any may",
        "Its client is in a loop; look for another firmware.",
    ),
    (
        "session-too-long",
        "A session took longer than any may, and was ended",
        "The device or its line is too slow for what it is asked, or its client is in a loop.",
    ),
    (
        "incompatible-cwmp",
        "The device speaks no version of CWMP that this server does",
        "Look for another firmware.",
    ),
];
