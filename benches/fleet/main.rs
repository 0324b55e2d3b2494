//! A gateway at work: what linked instances cost, how fast messages go through it, and what open link pages cost.
//!
//! The gateway and the sandbox network run in processes of their own. `cargo bench --features sandbox --bench fleet`;
//! `-- memory`, `-- messages` or `-- pages` for one of the three.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints its result and gives up on any failure")]

mod house;
mod memory;
mod messages;
mod pages;

fn main() {
    wagate::app::install_crypto_provider();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if is_wanted("memory") {
        runtime.block_on(memory::measure(number("WAGATE_BENCH_FLEET", 200)));
    }
    if is_wanted("messages") {
        runtime.block_on(messages::measure(number("WAGATE_BENCH_MESSAGES", 4_000)));
    }
    if is_wanted("pages") {
        runtime.block_on(pages::measure(number("WAGATE_BENCH_PAGES", 10_000)));
    }
}

fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}
