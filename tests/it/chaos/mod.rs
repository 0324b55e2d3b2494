//! Everything dies, again and again, while messages flow both ways: the gateway by `kill -9`, its PostgreSQL too. In the
//! end each message that a phone sent has reached the webhook, in order and without a gap in the numbers, and none that
//! the API took has reached a phone twice.
//!
//! `make test` runs a short form; `make chaos` as many deaths as `CHAOS_KILLS`, `CHAOS_DATABASE_KILLS` and
//! `CHAOS_MESSAGES` say.

#![expect(clippy::print_stderr, reason = "a long job shows its progress")]

mod gateway;
mod receiver;
mod traffic;
mod verdict;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tokio::time::{Instant, sleep};

use gateway::Gateway;
use receiver::Receiver;
use traffic::{Inbound, Outbound};

use crate::support::client::Client;
use crate::support::network::Network;
use crate::support::process::Process;

/// What is to be survived.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Deaths of the gateway.
    kills: u32,
    /// Deaths of PostgreSQL under a living gateway.
    database_kills: u32,
    /// Messages, half of them in and half of them out.
    messages: usize,
    /// When things die.
    seed: u64,
}

impl Plan {
    fn from_environment() -> Self {
        let number = |name: &str, otherwise: u64| {
            std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
        };
        Self {
            kills: u32::try_from(number("CHAOS_KILLS", 4)).unwrap(),
            database_kills: u32::try_from(number("CHAOS_DATABASE_KILLS", 1)).unwrap(),
            messages: usize::try_from(number("CHAOS_MESSAGES", 80)).unwrap(),
            seed: number("CHAOS_SEED", 1),
        }
    }

    fn deaths(self) -> u32 {
        self.kills + self.database_kills
    }

    /// Whether the `nth` death is PostgreSQL's: they are spread evenly.
    fn is_database(self, nth: u32) -> bool {
        let upto = |n: u32| u64::from(n) * u64::from(self.database_kills) / u64::from(self.deaths());
        upto(nth + 1) > upto(nth)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_sent_twice_while_gateway_and_database_are_killed() {
    let plan = Plan::from_environment();
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["sandbox", "--listen", "127.0.0.1:0", "--ready-json"];
    let sandbox = Process::start(folder.path(), &arguments, &[]);
    let network = Network::at(sandbox.told("sandbox_url"));
    let receiver = Receiver::start();
    let mut gateway = Gateway::start(folder.path(), sandbox.told("sandbox_url")).await;
    let client = Client::new(gateway.url(), gateway.key());

    let (instance, number) = client.linked(&network).await;
    let friend = network.phone().await;
    let webhook = json!({ "url": receiver.url() });
    let (status, body) = client.post("/v2/webhooks", &webhook).await;
    assert_eq!(status, 201, "{body}");

    let inbound = Inbound::start(network.clone(), (friend.clone(), number.clone()), plan.messages / 2);
    let outbound = Outbound::start(client.clone(), (instance.clone(), friend.clone()), plan.messages / 2);

    let (mut chance, began) = (StdRng::seed_from_u64(plan.seed), Instant::now());
    for nth in 0..plan.deaths() {
        // Long enough to log in most times, and short enough to die while it does now and then.
        sleep(Duration::from_millis(chance.random_range(100..1_500))).await;
        if plan.is_database(nth) {
            gateway.kill_database();
        } else {
            gateway = gateway.kill_and_start().await;
        }
        if plan.deaths() < 20 || nth % 10 == 9 {
            let (sent, taken, told) = (inbound.sent(), outbound.taken(), receiver.count());
            let seconds = began.elapsed().as_secs();
            eprintln!("{seconds} s: {} deaths, {sent} sent in, {taken} taken out, {told} deliveries", nth + 1);
        }
    }
    let sent_in = inbound.end().await;
    let sent_out = outbound.end().await;
    verdict::works_again(&client, &instance).await;

    let overtaken = verdict::on_inbound(&receiver, &instance, &sent_in).await;
    let unknown = verdict::on_outbound(&client, &network, (&instance, &friend), &sent_out).await;
    eprintln!(
        "{} deaths, {} messages in, {overtaken} of them overtaken, {} out, {unknown} of them unknown; {} deliveries, {} s",
        plan.deaths(),
        sent_in.len(),
        sent_out.len(),
        receiver.count(),
        began.elapsed().as_secs(),
    );
}
