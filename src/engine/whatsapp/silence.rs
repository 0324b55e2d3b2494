//! What the libraries log, and why none of it is kept.
//!
//! The client logs whole stanzas at debug, addresses and push names at info, linking codes and raw failure stanzas at
//! info and warn. There is no level at which its lines are free of phone numbers, so no line of it is written at any
//! level; what matters of them reaches the log in our own words, from the engine and the supervisor. Its WebSocket and
//! TLS libraries, which can print frames, are silent too.

/// Beginnings of the log targets that must never be written, whatever the configuration says.
pub const SILENCED_TARGETS: &[&str] = &[
    // Crates: the default target is the module path.
    "whatsapp_rust",
    "whatsapp_rust_tokio_transport",
    "wacore",
    "wacore_appstate",
    "wacore_binary",
    "wacore_derive",
    "wacore_libsignal",
    "wacore_noise",
    "waproto",
    "tokio_websockets",
    "tokio_rustls",
    "rustls",
    "tungstenite",
    "hyper",
    "hyper_util",
    "reqwest",
    // Targets the client names itself.
    "AppState",
    "Blocking",
    "Bot",
    "Chatstate",
    "ChatstateHandler",
    "Client",
    "MessageQueue",
    "Mex",
    "PresenceHandler",
    "TcToken",
    "UnifiedSession",
    "blocklist",
    "usync",
];
