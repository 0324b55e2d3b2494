//! Pages in a real browser: Debian's Chromium, driven over WebDriver (W3C) by a client of a few lines.
//!
//! Each test has a chromedriver and a profile of its own, and waits on conditions with a generous deadline.

mod dashboard;
mod detours;
mod driver;
mod every_page;
mod frames;
mod link;
mod screenshots;

pub(crate) use driver::{Browser, Look};
