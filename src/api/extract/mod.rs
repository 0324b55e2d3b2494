//! From a request to a [`Call`]: everything that is checked before a handler runs, in the contract's order.

mod accept;
pub(super) mod body;
mod call;
mod client_address;
mod credential;
mod file;
mod json;
mod multipart;
mod operator_call;
mod parameters;
mod parts;
mod read;

pub use accept::Accept;
pub use body::drain;
pub use call::Call;
pub(super) use call::{Refusal, refuse};
pub use client_address::{InvalidNetwork, TrustedProxies};
pub use credential::Credential;
pub use file::{FileCall, Part};
pub use operator_call::OperatorCall;
pub use parameters::Parameters;
pub(super) use parts::Parts;
pub use read::{Bound, Read, Target};
