//! What is counted at the moment it is asked for, and the process itself.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::domain::session::Status;

/// How things stand at this moment.
#[derive(Debug, Clone, Default)]
pub struct Readings {
    /// Sessions that have an actor here, by what they show; a status that is not named has none.
    pub sessions: Vec<(Status, usize)>,
    /// Those of them that are meant to run.
    pub sessions_desired: usize,
    /// Sessions in line for a log-in.
    pub logins_waiting: usize,
    /// WhatsApp fails everybody and log-ins are held back.
    pub breaker_open: bool,
    /// For how much longer the node's lease is trusted; `None` while it holds none.
    pub lease_trust: Option<Duration>,
    /// The connections to the database.
    pub pool: PoolReading,
    /// Tokens in memory.
    pub tokens_cached: usize,
    /// Streams of events that are open here.
    pub event_streams: usize,
}

/// Connections to the database.
#[derive(Debug, Clone, Copy, Default)]
pub struct PoolReading {
    /// Open.
    pub size: u32,
    /// Open and not in use.
    pub idle: u32,
    /// As many as there may be.
    pub max: u32,
}

/// Writes [`Readings`] as gauges.
pub(super) struct ReadOnDemand {
    read: Box<dyn Fn() -> Readings + Send + Sync>,
}

impl ReadOnDemand {
    pub(super) fn new(read: impl Fn() -> Readings + Send + Sync + 'static) -> Self {
        Self { read: Box::new(read) }
    }
}

impl fmt::Debug for ReadOnDemand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOnDemand").finish_non_exhaustive()
    }
}

impl Collector for ReadOnDemand {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let now = (self.read)();
        let counted = |status: &Status| {
            let here = now.sessions.iter().filter(|(shown, _)| shown == status).map(|(_, count)| *count);
            (status.as_str(), number(here.sum()))
        };
        let statuses: Vec<_> = Status::ALL.iter().map(counted).collect();
        labelled(&mut encoder, "wagate_sessions", "Sessions of this node by status", "status", &statuses)?;
        let desired = number(now.sessions_desired);
        gauge(&mut encoder, "wagate_sessions_desired", "Sessions of this node that are meant to run", desired)?;
        let waiting = number(now.logins_waiting);
        gauge(&mut encoder, "wagate_logins_waiting", "Sessions in line to reach WhatsApp", waiting)?;
        let open = f64::from(u8::from(now.breaker_open));
        gauge(&mut encoder, "wagate_upstream_breaker_open", "Whether log-ins are held back but for a probe", open)?;
        let held = f64::from(u8::from(now.lease_trust.is_some()));
        gauge(&mut encoder, "wagate_lease_held", "Whether this node's lease is held and trusted", held)?;
        let trust = now.lease_trust.unwrap_or_default().as_secs_f64();
        gauge(&mut encoder, "wagate_lease_trust_seconds", "For how much longer the lease is trusted", trust)?;
        let PoolReading { size, idle, max } = now.pool;
        let pool = [("idle", f64::from(idle)), ("in_use", f64::from(size.saturating_sub(idle)))];
        labelled(&mut encoder, "wagate_db_pool_connections", "Connections to the database", "state", &pool)?;
        let max = f64::from(max);
        gauge(&mut encoder, "wagate_db_pool_max_connections", "As many connections as there may be", max)?;
        let tokens = number(now.tokens_cached);
        gauge(&mut encoder, "wagate_tokens_cached", "Tokens in memory", tokens)?;
        let streams = number(now.event_streams);
        gauge(&mut encoder, "wagate_event_streams", "Streams of events that are open here", streams)?;
        if let Some(bytes) = resident_memory() {
            gauge(&mut encoder, "process_resident_memory_bytes", "Memory of the process", bytes)?;
        }
        Ok(())
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(value).encode(metric)
}

fn labelled(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &'static str,
    values: &[(&'static str, f64)],
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (word, value) in values {
        ConstGauge::new(*value).encode(metric.encode_family(&[(label, *word)])?)?;
    }
    Ok(())
}

/// A count that a gauge can hold exactly.
fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The process's resident memory in bytes, where the kernel tells (`proc_pid_status(5)`, `VmRSS`).
fn resident_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u32 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(f64::from(kibibytes) * 1024.0)
}
