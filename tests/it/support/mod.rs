//! What tests share.

#[cfg(feature = "sandbox")]
pub(crate) mod client;
pub(crate) mod database;
#[cfg(feature = "sandbox")]
pub(crate) mod decode;
pub(crate) mod event_stream;
#[cfg(feature = "sandbox")]
pub(crate) mod gateway;
#[cfg(feature = "sandbox")]
pub(crate) mod house;
#[cfg(feature = "sandbox")]
pub(crate) mod network;
pub(crate) mod node;
#[cfg(feature = "sandbox")]
pub(crate) mod passkey;
#[cfg(feature = "sandbox")]
pub(crate) mod process;
#[cfg(feature = "sandbox")]
pub(crate) mod receiver;
pub(crate) mod scripted_engine;
pub(crate) mod wait;
