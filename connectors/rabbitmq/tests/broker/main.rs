//! The source against a real RabbitMQ.
//!
//! Each module is a promise: what is delivered, what arrives of it, how it starts, how it ends, what it gives back,
//! how much is on its way, how it is held, what is rejected.

mod arrive;
mod deliver;
mod end;
mod give_back;
mod reject;
mod set_up;
mod sink;
mod support;
mod suspend;
mod tls;
mod window;
