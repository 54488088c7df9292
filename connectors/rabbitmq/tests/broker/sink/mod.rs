//! The sink against a real RabbitMQ: what arrives, in which order, what is refused and why, how it ends, and that it
//! disturbs no other.

mod arrive;
mod broker_headers;
mod end;
mod isolation;
mod order;
mod refuse;
mod route;
mod support;
