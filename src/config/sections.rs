//! The sections of the configuration, one struct each. What a key means stands in `config/default.toml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::duration;

/// The whole configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[operator]`
    pub operator: Operator,
    /// `[data]`
    pub data: Data,
    /// `[database]`
    pub database: Database,
    /// `[vault]`
    pub vault: Vault,
    /// `[engine]`
    pub engine: Engine,
    /// `[session]`
    pub session: Session,
    /// `[node]`
    pub node: Node,
    /// `[media]`
    pub media: Media,
    /// `[events]`
    pub events: Events,
    /// `[webhook]`
    pub webhook: Webhook,
    /// `[limits]`
    pub limits: Limits,
    /// `[messages]`
    pub messages: Messages,
    /// `[dashboard]`
    pub dashboard: Dashboard,
    /// `[log]`
    pub log: Log,
}

/// `[server]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The address people and phones reach this gateway at; links and the sign-in QR are made from it, never from a Host
    /// header. Empty: http:// and the listen address.
    pub public_url: String,
    /// Where the source of this program is, told at /about.
    pub source_url: String,
    /// Proxies in front of the gateway (addresses or networks): X-Forwarded-For is believed from these only.
    pub trusted_proxies: Vec<String>,
    /// Threads that serve HTTP; 0 means one for each core.
    pub workers: usize,
    /// Open client connections at most; further ones wait.
    pub max_connections: u32,
    /// A client must have sent its request head within this time.
    #[serde(deserialize_with = "duration::deserialize")]
    pub request_head_timeout: Duration,
    /// After a stop signal, requests under way may take this long.
    #[serde(deserialize_with = "duration::deserialize")]
    pub shutdown_timeout: Duration,
}

/// `[operator]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// Where the operator's routes and metrics are served. Keep it away from the public.
    pub listen: SocketAddr,
}

/// `[data]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Where the private PostgreSQL, the vault key and first-start keys are kept. Empty: /var/lib/wagate as root,
    /// otherwise $XDG_DATA_HOME/wagate or ~/.local/share/wagate.
    pub dir: String,
}

/// `[database]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// A PostgreSQL to use, as postgres://user:password@host/database; the variable DATABASE_URL is read too.
    /// Empty: a private cluster in the data folder, started from the installed PostgreSQL.
    pub url: SecretString,
    /// Connections in the pool. 4 to 10 serve one node; more only wait on each other.
    pub max_connections: u32,
    /// How long a request waits for one of them.
    #[serde(deserialize_with = "duration::deserialize")]
    pub acquire_timeout: Duration,
    /// Where PostgreSQL's programs are. Empty: they are looked for.
    pub bin_dir: String,
}

/// `[vault]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vault {
    /// Key-encryption keys, each as "id = file". Empty: one is made in the data folder on the first start. Back it up:
    /// without it every instance must be linked again.
    pub keys: BTreeMap<String, PathBuf>,
    /// The id of the key that new instances use. Empty: the only one there is.
    pub active: String,
}

/// `[engine]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// The device name a phone lists under "Linked devices".
    pub device_name: String,
    /// The WhatsApp web version to present, as "2.3000.1023456789". Empty: learned from WhatsApp, refreshed as below.
    pub wa_version: String,
    /// How often the learned version is refreshed.
    #[serde(deserialize_with = "duration::deserialize")]
    pub wa_version_refresh: Duration,
    /// How long the connection's handshake may take.
    #[serde(deserialize_with = "duration::deserialize")]
    pub connect_timeout: Duration,
    /// How long an answer from WhatsApp may take.
    #[serde(deserialize_with = "duration::deserialize")]
    pub request_timeout: Duration,
    /// One-time prekeys made for a new device (5 to 812). WhatsApp hands one to each new correspondent; more are made
    /// before they run out.
    pub prekeys: u32,
}

/// `[session]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// An unlinked instance must have a code within this time, or the healer stops and starts it.
    #[serde(deserialize_with = "duration::deserialize")]
    pub first_code_deadline: Duration,
    /// That many such starts in a row, and an unlinked instance is FAILED stalled.
    pub max_stalls: u32,
    /// From the scan to WORKING.
    #[serde(deserialize_with = "duration::deserialize")]
    pub pairing_deadline: Duration,
    /// A linked instance must be logged in within this time after its start, or it is tried again.
    #[serde(deserialize_with = "duration::deserialize")]
    pub login_deadline: Duration,
    /// WORKING is proven by data at most this old; a silent connection is probed in time and dropped if nothing answers.
    #[serde(deserialize_with = "duration::deserialize")]
    pub liveness_timeout: Duration,
    /// A request for a code keeps a new round coming for this long.
    #[serde(deserialize_with = "duration::deserialize")]
    pub demand_window: Duration,
    /// Rounds of codes while somebody asks.
    pub max_rounds: u32,
    /// After the last of them, a request is refused for this long.
    #[serde(deserialize_with = "duration::deserialize")]
    pub rounds_cooldown: Duration,
    /// Waits between attempts to reach WhatsApp: full jitter, doubling from the first to the last.
    #[serde(deserialize_with = "duration::deserialize")]
    pub backoff_min: Duration,
    /// See the key before.
    #[serde(deserialize_with = "duration::deserialize")]
    pub backoff_max: Duration,
    /// After a ban has run out, the log-in is tried once after this much more, at random.
    #[serde(deserialize_with = "duration::deserialize")]
    pub ban_grace_min: Duration,
    /// See the key before.
    #[serde(deserialize_with = "duration::deserialize")]
    pub ban_grace_max: Duration,
    /// After another connection took a device's place while the lease is ours, one retry.
    #[serde(deserialize_with = "duration::deserialize")]
    pub replaced_retry: Duration,
    /// The breaker of a node opens at this many failures and this share of all attempts within the window …
    pub breaker_failures: u32,
    /// See the key before.
    pub breaker_share: f64,
    /// See the key before.
    #[serde(deserialize_with = "duration::deserialize")]
    pub breaker_window: Duration,
    /// … and lets one probe through this often.
    #[serde(deserialize_with = "duration::deserialize")]
    pub breaker_probe_interval: Duration,
    /// Log-ins a second on a node, whatever the cause.
    pub logins_per_second: u32,
}

/// `[node]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// What this node is called in answers; empty: the host's name.
    pub name: String,
    /// Where other nodes reach this one, as host:port; empty: the listen address.
    pub advertise: String,
    /// A node's lease: renewed this often, each renewal given up after this long, gone after the time to live, and
    /// trusted only until the start of the last renewal plus the trust.
    #[serde(deserialize_with = "duration::deserialize")]
    pub lease_renew_interval: Duration,
    /// See the key before.
    #[serde(deserialize_with = "duration::deserialize")]
    pub lease_renew_timeout: Duration,
    /// See the key before.
    #[serde(deserialize_with = "duration::deserialize")]
    pub lease_ttl: Duration,
    /// See the key before.
    #[serde(deserialize_with = "duration::deserialize")]
    pub lease_trust: Duration,
    /// How often the truth is reread for what should run.
    #[serde(deserialize_with = "duration::deserialize")]
    pub reconcile_interval: Duration,
}

/// `[media]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Media {
    /// The largest file that is taken, of a message that came in or of one to send, in bytes.
    pub max_bytes: u64,
    /// Where files of messages are kept, encrypted as WhatsApp encrypts them. Empty: a folder in the data folder; or a
    /// bucket, as s3://bucket/prefix, with AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for stores other than
    /// Amazon's, AWS_ENDPOINT from the environment.
    pub store: String,
    /// A file is removed this long after it was brought here. It is brought again if it is asked for and WhatsApp still
    /// has it.
    #[serde(deserialize_with = "duration::deserialize")]
    pub retention: Duration,
    /// Files to send are fetched from the public internet only, and from these networks and addresses.
    pub allow_private: Vec<String>,
}

/// `[events]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// How long an event can be read and delivered, at least: the log is pruned by whole days.
    #[serde(deserialize_with = "duration::deserialize")]
    pub retention: Duration,
    /// Streams of events that may be open on a node …
    pub max_streams: usize,
    /// … and of one account on a node.
    pub max_streams_per_account: usize,
}

/// `[webhook]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Deliveries under way at once, on a node and to one webhook.
    pub concurrency: u32,
    /// See the key before.
    pub concurrency_per_webhook: u32,
    /// How long a delivery may take.
    #[serde(deserialize_with = "duration::deserialize")]
    pub timeout: Duration,
    /// How often a node looks for what other nodes logged, and for what is due again.
    #[serde(deserialize_with = "duration::deserialize")]
    pub poll_interval: Duration,
    /// Networks that webhooks may lead to besides the public internet, such as "10.0.0.0/8".
    pub allow_private: Vec<String>,
    /// A webhook that has failed for this long is disabled.
    #[serde(deserialize_with = "duration::deserialize")]
    pub disable_after: Duration,
    /// How long the log of deliveries is kept, and events that were given up.
    #[serde(deserialize_with = "duration::deserialize")]
    pub delivery_retention: Duration,
    /// See the key before.
    #[serde(deserialize_with = "duration::deserialize")]
    pub dead_letter_retention: Duration,
}

/// Numbers that one request may ask about.
pub const MAX_LOOKUPS: u32 = 50;

/// `[limits]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Requests a second and burst of one token.
    pub api_per_second: u32,
    /// See the key before.
    pub api_burst: u32,
    /// Requests a second and burst for QR codes, of one token and instance.
    pub qr_per_second: u32,
    /// See the key before.
    pub qr_burst: u32,
    /// Requests a minute and burst for codes to type into a phone, of one instance. WhatsApp has limits of its own.
    pub link_codes_per_minute: u32,
    /// See the key before.
    pub link_code_burst: u32,
    /// Messages that an instance sends within a minute, within a day (UTC), and the pause between two, unless its owner
    /// chooses otherwise. WhatsApp restricts accounts that write like a machine.
    pub messages_per_minute: u32,
    /// See the key before.
    pub messages_per_day: u32,
    /// See the key before.
    #[serde(deserialize_with = "duration::deserialize")]
    pub message_pause: Duration,
    /// Questions a minute and burst of one instance about people: whether a number is on WhatsApp, where a picture is. Each
    /// number is one question.
    pub contact_lookups_per_minute: u32,
    /// See the key before.
    pub contact_lookup_burst: u32,
    /// Failed authentications a minute of one client address (IPv6: of its /64); beyond it, further failures get 429.
    pub failed_auth_per_minute: u32,
    /// Look-ups of unknown tokens a second, so that guessing cannot load the database.
    pub token_lookups_per_second: u32,
    /// How long a looked-up token is remembered.
    #[serde(deserialize_with = "duration::deserialize")]
    pub token_cache_ttl: Duration,
    /// How often revoked tokens are dropped on this node.
    #[serde(deserialize_with = "duration::deserialize")]
    pub revocation_interval: Duration,
    /// How long the answer to a request with an Idempotency-Key is kept for its repetitions. A token in it is told again
    /// for ten minutes only.
    #[serde(deserialize_with = "duration::deserialize")]
    pub idempotency_key_ttl: Duration,
    /// Webhooks of one account.
    pub webhooks_per_account: u32,
}

/// `[messages]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Messages {
    /// How long a message may wait to be sent unless its sender says otherwise; 24h at most.
    #[serde(deserialize_with = "duration::deserialize")]
    pub ttl: Duration,
    /// How long it is told what became of a message, and how long it can be sent again.
    #[serde(deserialize_with = "duration::deserialize")]
    pub retention: Duration,
}

/// `[dashboard]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dashboard {
    /// The account that a browser on this machine may sign in to without a key, by its id. Empty: none.
    pub loopback_account: String,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// A level, or tracing filter directives: "info", "wagate=debug,info".
    pub filter: String,
    /// "text" for people, "json" for machines.
    pub format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines, one object a line.
    Json,
}
