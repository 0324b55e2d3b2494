//! Webhooks: the outbox against receivers under script, on logs that a test writes; and the routes that set them up.

mod addresses;
mod delivery;
mod failing;
mod office;
mod replay;
mod whole;
mod workers;
