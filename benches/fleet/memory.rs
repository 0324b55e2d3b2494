//! What a linked instance costs: resident memory of the gateway's process, and the time from create to its first code.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use super::house::{House, resident};

/// Instances that are created and scanned at the same time.
const AT_ONCE: usize = 8;

pub(super) async fn measure(fleet: usize) {
    let house = House::start(&[]);
    let link = async |number| house.link(number).await.until_code;
    // The first few fill caches, pools and the allocator; they belong to the process, not to an instance.
    let warm: Vec<Duration> = stream::iter(0..20).map(link).buffer_unordered(AT_ONCE).collect().await;
    let before = resident(&house.gateway);
    let begun = Instant::now();
    let mut first_codes: Vec<Duration> = stream::iter(0..fleet).map(link).buffer_unordered(AT_ONCE).collect().await;
    let took = begun.elapsed();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = resident(&house.gateway);
    first_codes.sort();
    println!("instances linked: {fleet} (after {} to warm up), {AT_ONCE} at a time, in {took:.1?}", warm.len());
    println!("resident memory of the gateway: {before} KiB before, {after} KiB after");
    println!("  per linked instance: {} KiB (aim: 250)", after.saturating_sub(before) / fleet as u64);
    println!(
        "create to first code: median {:.0?} (aim: 500ms), p90 {:.0?}",
        first_codes[fleet / 2],
        first_codes[fleet * 9 / 10]
    );
}
