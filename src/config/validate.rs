//! What the types cannot say of a configuration: ranges, orders, forms.

use std::time::Duration;

use secrecy::ExposeSecret;
use url::Url;
use uuid::Uuid;

use crate::domain::network::Network;
use crate::domain::origin::is_loopback;
use crate::domain::outgoing::{MAX_TTL, Pace};

use super::{Config, MAX_LOOKUPS};

const HOUR: Duration = Duration::from_hours(1);

/// A key and why its value is refused. The message never repeats a secret.
#[derive(Debug)]
pub(super) struct Refused {
    /// `section.key`.
    pub(super) key: &'static str,
    /// What would fit.
    pub(super) message: String,
}

fn require(holds: bool, key: &'static str, message: &str) -> Result<(), Refused> {
    if holds { Ok(()) } else { Err(Refused { key, message: message.to_owned() }) }
}

fn positive(key: &'static str, duration: Duration) -> Result<(), Refused> {
    require(!duration.is_zero(), key, "it must be longer than nothing")
}

/// Checks the whole configuration; the first key that is refused is told.
pub(super) fn validate(config: &Config) -> Result<(), Refused> {
    server(config)?;
    database(config)?;
    engine(config)?;
    session(config)?;
    node(config)?;
    media(config)?;
    events(config)?;
    webhook(config)?;
    limits(config)?;
    messages(config)?;
    dashboard(config)
}

fn events(config: &Config) -> Result<(), Refused> {
    let events = &config.events;
    require(
        events.retention >= HOUR,
        "events.retention",
        "it must be an hour at least: webhooks are retried from the log",
    )?;
    require(events.max_streams > 0, "events.max_streams", "it must be at least 1")?;
    require(events.max_streams_per_account > 0, "events.max_streams_per_account", "it must be at least 1")
}

fn server(config: &Config) -> Result<(), Refused> {
    let server = &config.server;
    if !server.public_url.is_empty() {
        let url = Url::parse(&server.public_url).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        require(url.is_some(), "server.public_url", "it must be an http or https address without query and fragment")?;
    }
    let source = server.source_url.is_empty()
        || Url::parse(&server.source_url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    require(source, "server.source_url", "it must be an http or https address")?;
    for proxy in &server.trusted_proxies {
        let fits = Network::parse(proxy).is_some();
        require(fits, "server.trusted_proxies", "each must be an address or a network, as 10.0.0.0/8")?;
    }
    require(server.max_connections > 0, "server.max_connections", "it must be at least 1")?;
    positive("server.request_head_timeout", server.request_head_timeout)
}

fn database(config: &Config) -> Result<(), Refused> {
    let url = config.database.url.expose_secret();
    if !url.is_empty() {
        let fits = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "postgres" | "postgresql"));
        require(fits, "database.url", "it must look like postgres://user:password@host/database")?;
    }
    require(config.database.max_connections > 0, "database.max_connections", "it must be at least 1")?;
    positive("database.acquire_timeout", config.database.acquire_timeout)?;
    let vault = &config.vault;
    require(
        if vault.active.is_empty() { vault.keys.len() <= 1 } else { vault.keys.contains_key(&vault.active) },
        "vault.active",
        "it must be the id of one of vault.keys, and is needed where there are several",
    )
}

fn engine(config: &Config) -> Result<(), Refused> {
    let engine = &config.engine;
    let named = (1..=50).contains(&engine.device_name.chars().count());
    require(named, "engine.device_name", "it must have 1 to 50 characters")?;
    let version = engine.wa_version.is_empty()
        || engine.wa_version.split('.').collect::<Vec<_>>().len() == 3
            && engine.wa_version.split('.').all(|part| part.parse::<u32>().is_ok());
    require(version, "engine.wa_version", "it must be three numbers, as 2.3000.1023456789")?;
    positive("engine.wa_version_refresh", engine.wa_version_refresh)?;
    positive("engine.connect_timeout", engine.connect_timeout)?;
    positive("engine.request_timeout", engine.request_timeout)?;
    require((5..=812).contains(&engine.prekeys), "engine.prekeys", "it must be between 5 and 812")
}

fn session(config: &Config) -> Result<(), Refused> {
    let session = &config.session;
    for (key, duration) in [
        ("session.first_code_deadline", session.first_code_deadline),
        ("session.pairing_deadline", session.pairing_deadline),
        ("session.login_deadline", session.login_deadline),
        ("session.liveness_timeout", session.liveness_timeout),
        ("session.demand_window", session.demand_window),
        ("session.rounds_cooldown", session.rounds_cooldown),
        ("session.backoff_min", session.backoff_min),
        ("session.replaced_retry", session.replaced_retry),
        ("session.breaker_window", session.breaker_window),
        ("session.breaker_probe_interval", session.breaker_probe_interval),
    ] {
        positive(key, duration)?;
    }
    require(session.backoff_min <= session.backoff_max, "session.backoff_max", "it must not be under backoff_min")?;
    require(
        session.ban_grace_min <= session.ban_grace_max,
        "session.ban_grace_max",
        "it must not be under ban_grace_min",
    )?;
    require(session.max_stalls > 0, "session.max_stalls", "it must be at least 1")?;
    require(session.max_rounds > 0, "session.max_rounds", "it must be at least 1")?;
    require(session.breaker_failures > 0, "session.breaker_failures", "it must be at least 1")?;
    require((0.0..=1.0).contains(&session.breaker_share), "session.breaker_share", "it must be between 0 and 1")?;
    require(session.logins_per_second > 0, "session.logins_per_second", "it must be at least 1")
}

fn node(config: &Config) -> Result<(), Refused> {
    let node = &config.node;
    positive("node.lease_renew_interval", node.lease_renew_interval)?;
    positive("node.reconcile_interval", node.reconcile_interval)?;
    require(
        node.lease_trust < node.lease_ttl,
        "node.lease_trust",
        "it must be under lease_ttl: a node must stop before others may take over",
    )?;
    require(
        node.lease_renew_interval + node.lease_renew_timeout < node.lease_trust,
        "node.lease_trust",
        "it must be over lease_renew_interval plus lease_renew_timeout: one late renewal must not end a node",
    )
}

fn webhook(config: &Config) -> Result<(), Refused> {
    let webhook = &config.webhook;
    require(webhook.concurrency > 0, "webhook.concurrency", "it must be at least 1")?;
    require(webhook.concurrency_per_webhook > 0, "webhook.concurrency_per_webhook", "it must be at least 1")?;
    positive("webhook.timeout", webhook.timeout)?;
    require(webhook.timeout <= Duration::from_secs(30), "webhook.timeout", "it must be 30s at most")?;
    positive("webhook.poll_interval", webhook.poll_interval)?;
    positive("webhook.disable_after", webhook.disable_after)?;
    for network in &webhook.allow_private {
        let fits = Network::parse(network).is_some();
        require(fits, "webhook.allow_private", "each must be an address or a network, as 10.0.0.0/8")?;
    }
    Ok(())
}

fn media(config: &Config) -> Result<(), Refused> {
    let media = &config.media;
    require(media.max_bytes > 0, "media.max_bytes", "it must be at least 1")?;
    let store = media.store.is_empty()
        || Url::parse(&media.store).is_ok_and(|url| url.scheme() == "s3" && url.has_host() && url.query().is_none());
    require(store, "media.store", "it must be empty or look like s3://bucket/prefix")?;
    for network in &media.allow_private {
        let fits = Network::parse(network).is_some();
        require(fits, "media.allow_private", "each must be an address or a network, as 10.1.0.0/16")?;
    }
    positive("media.retention", media.retention)
}

fn limits(config: &Config) -> Result<(), Refused> {
    let limits = &config.limits;
    for (key, number) in [
        ("limits.api_per_second", limits.api_per_second),
        ("limits.api_burst", limits.api_burst),
        ("limits.qr_per_second", limits.qr_per_second),
        ("limits.qr_burst", limits.qr_burst),
        ("limits.contact_lookups_per_minute", limits.contact_lookups_per_minute),
        ("limits.failed_auth_per_minute", limits.failed_auth_per_minute),
        ("limits.token_lookups_per_second", limits.token_lookups_per_second),
    ] {
        require(number > 0, key, "it must be at least 1")?;
    }
    require(
        limits.contact_lookup_burst >= MAX_LOOKUPS,
        "limits.contact_lookup_burst",
        "it must be at least 50: one request may hold as many questions",
    )?;
    positive("limits.token_cache_ttl", limits.token_cache_ttl)?;
    positive("limits.revocation_interval", limits.revocation_interval)?;
    positive("limits.idempotency_key_ttl", limits.idempotency_key_ttl)?;
    require(
        limits.idempotency_key_ttl <= Duration::from_hours(31 * 24),
        "limits.idempotency_key_ttl",
        "it must be 31d at most",
    )?;
    require(
        limits.revocation_interval <= Duration::from_secs(5),
        "limits.revocation_interval",
        "it must be 5s at most: a revocation holds on every node within that time",
    )
}

fn messages(config: &Config) -> Result<(), Refused> {
    let (limits, messages) = (&config.limits, &config.messages);
    let (minute, day) = (limits.messages_per_minute, limits.messages_per_day);
    require(Pace::PER_MINUTE.contains(&minute), "limits.messages_per_minute", "it must be between 1 and 6000")?;
    require(Pace::PER_DAY.contains(&day), "limits.messages_per_day", "it must be between 1 and 1000000")?;
    require(limits.message_pause <= Duration::from_mins(10), "limits.message_pause", "it must be 10m at most")?;
    positive("messages.ttl", messages.ttl)?;
    require(messages.ttl <= MAX_TTL, "messages.ttl", "it must be 24h at most")?;
    // What waits must not be deleted, and the messages of a day are counted by themselves.
    require(messages.retention >= Duration::from_hours(48), "messages.retention", "it must be 2d at least")
}

fn dashboard(config: &Config) -> Result<(), Refused> {
    let account = &config.dashboard.loopback_account;
    if account.is_empty() {
        return Ok(());
    }
    let key = "dashboard.loopback_account";
    require(Uuid::try_parse(account).is_ok(), key, "it must be the id of an account")?;
    let server = &config.server;
    let at_home = match server.public_url.as_str() {
        "" => server.listen.ip().is_loopback(),
        url => Url::parse(url).is_ok_and(|url| is_loopback(&url)),
    };
    require(at_home, key, "it needs a server.public_url on this machine, as http://127.0.0.1:8080")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_is_held() {
        type Spoil = fn(&mut Config);
        let cases: &[(&str, Spoil)] = &[
            ("server.public_url", |c| c.server.public_url = "ftp://x".into()),
            ("server.source_url", |c| c.server.source_url = "javascript:alert(1)".into()),
            ("server.trusted_proxies", |c| c.server.trusted_proxies = vec!["10.0.0.0/33".into()]),
            ("server.max_connections", |c| c.server.max_connections = 0),
            ("database.max_connections", |c| c.database.max_connections = 0),
            ("vault.active", |c| c.vault.active = "gone".into()),
            ("engine.device_name", |c| c.engine.device_name = String::new()),
            ("engine.wa_version", |c| c.engine.wa_version = "2.x.1".into()),
            ("engine.prekeys", |c| c.engine.prekeys = 813),
            ("session.backoff_max", |c| c.session.backoff_max = Duration::from_millis(1)),
            ("session.breaker_share", |c| c.session.breaker_share = f64::NAN),
            ("session.logins_per_second", |c| c.session.logins_per_second = 0),
            ("node.lease_trust", |c| c.node.lease_trust = c.node.lease_ttl),
            ("node.lease_trust", |c| c.node.lease_renew_interval = c.node.lease_trust),
            ("webhook.concurrency", |c| c.webhook.concurrency = 0),
            ("webhook.timeout", |c| c.webhook.timeout = Duration::from_mins(1)),
            ("webhook.allow_private", |c| c.webhook.allow_private = vec!["everything".into()]),
            ("media.max_bytes", |c| c.media.max_bytes = 0),
            ("media.store", |c| c.media.store = "https://bucket.example".into()),
            ("media.allow_private", |c| c.media.allow_private = vec!["example.com".into()]),
            ("media.retention", |c| c.media.retention = Duration::ZERO),
            ("limits.qr_burst", |c| c.limits.qr_burst = 0),
            ("limits.messages_per_minute", |c| c.limits.messages_per_minute = 0),
            ("messages.ttl", |c| c.messages.ttl = Duration::from_hours(25)),
            ("messages.retention", |c| c.messages.retention = Duration::from_hours(24)),
            ("dashboard.loopback_account", |c| c.dashboard.loopback_account = "shop".into()),
            ("dashboard.loopback_account", |c| {
                c.dashboard.loopback_account = Uuid::nil().to_string();
                c.server.public_url = "https://wa.example.com".into();
            }),
            ("dashboard.loopback_account", |c| {
                c.dashboard.loopback_account = Uuid::nil().to_string();
                c.server.listen = "0.0.0.0:8080".parse().unwrap();
            }),
            ("limits.revocation_interval", |c| c.limits.revocation_interval = Duration::from_secs(6)),
        ];
        for (key, spoil) in cases {
            let mut config = Config::defaults();
            spoil(&mut config);
            assert_eq!(validate(&config).unwrap_err().key, *key);
        }
    }
}
