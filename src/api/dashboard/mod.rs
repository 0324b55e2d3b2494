//! Who is signed in to the dashboard, and how far that reaches.
//!
//! The dashboard's pages do what they do through the API's own handlers, which are served a second time below
//! `/dashboard/v2`. There the credential is a cookie ([`Admission`]), and because a browser sends a cookie along whoever
//! made it ask, a request must show that it comes from a page of ours ([`OwnPages`]). The cookie is good for nothing
//! below `/v2`, and a token for nothing below `/dashboard`.
//!
//! A session ([`session`]) stands for the account key it came from: its caller *is* that key's, with its limits and its
//! end. A phone gets one by a QR ([`pairing`], [`qr`]), a browser on this machine by the operator's leave ([`home`]).

mod admission;
mod guest;
pub mod home;
mod own_pages;
pub mod pairing;
pub mod qr;
pub mod session;
mod visits;

pub use admission::Admission;
pub(super) use admission::{Admitted, admit};
pub use guest::Guest;
pub use own_pages::OwnPages;
pub(super) use visits::Visits;
