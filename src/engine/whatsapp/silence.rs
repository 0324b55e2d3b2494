//! What the libraries log, and why none of it is kept.
//!
//! The client logs whole stanzas at debug, addresses and push names at info, linking codes and raw failure stanzas at
//! info and warn. There is no level at which its lines are free of phone numbers, so no line of it is written at any
//! level; what matters of them reaches the log in our own words, from the engine and the supervisor. Its WebSocket and
//! TLS libraries, which can print frames, are silent too.

/// Log targets that must never be written, whatever the configuration says: each stands for itself, for everything
/// after it and `::`, and for everything after it and `/`.
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

/// Whether lines of this target must never be written.
pub fn is_silenced(target: &str) -> bool {
    SILENCED_TARGETS.iter().any(|silenced| {
        target
            .strip_prefix(silenced)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::") || rest.starts_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_silenced_with_everything_below_it() {
        for target in ["Client/Recv", "Client", "whatsapp_rust::pair", "wacore_noise", "wacore::store::device", "usync"]
        {
            assert!(is_silenced(target), "{target}");
        }
    }

    #[test]
    fn our_own_lines_and_those_of_others_are_not() {
        for target in ["wagate::engine::whatsapp", "wagate", "sqlx::query", "Clients", "wacore2::x", "actix_web"] {
            assert!(!is_silenced(target), "{target}");
        }
    }
}
