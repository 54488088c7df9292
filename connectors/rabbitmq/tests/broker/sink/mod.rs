//! The sink against a real RabbitMQ: what arrives, in which order, what is refused and why, how it ends.

mod arrive;
mod broker_headers;
mod end;
mod order;
mod refuse;
mod route;
mod support;
