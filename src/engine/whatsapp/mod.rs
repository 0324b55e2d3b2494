//! The engine on `whatsapp-rust`.

pub mod backend;
