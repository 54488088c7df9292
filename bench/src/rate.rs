//! A run of one program: everything is filled, the program empties it, and what arrived is checked.

use anyhow::{Result, ensure};

use crate::{
    arrivals::Arrivals,
    bench::Bench,
    contender::Contender,
    direction::Direction,
    drain::{self, Rate},
    kafka::Header,
    process::Process,
    route::Route,
};

/// Puts so many messages into each queue or topic, lets the program empty them, and checks what arrived.
pub(crate) async fn measure(bench: &Bench, contender: Contender, route: &Route, each: u64) -> Result<Rate> {
    fill(bench, route, each).await?;
    bench.quiet().await;
    let mut process = bench.starter.start(contender, route)?;
    let rate = drain::measure(bench, route, route.of_a_bridge(each), &mut process).await?;
    let headers = finish(bench, route, each, process).await?;
    eprintln!(
        "  {contender:<6} {:>7.0} messages/s, {:.2} µs CPU a message",
        rate.messages_per_second, rate.cpu_us_per_message
    );
    Ok(Rate { headers, ..rate })
}

/// Puts so many messages into each queue or topic that is read.
pub(crate) async fn fill(bench: &Bench, route: &Route, each: u64) -> Result<()> {
    let message = route.case.message;
    for (source, sequences) in route.fillings(each) {
        match route.direction {
            Direction::ToKafka => bench.rabbit.fill(source, message, sequences).await?,
            Direction::ToRabbitmq => bench.kafka.fill(source, message, sequences).await?,
        }
    }
    Ok(())
}

/// Ends the program, and reads all that it has delivered; the headers of the first message.
pub(crate) async fn finish(bench: &Bench, route: &Route, each: u64, process: Process) -> Result<Vec<Header>> {
    process.terminate().await?;
    let messages = route.of_a_bridge(each);
    let mut first_headers = None;
    for ends in &route.bridges {
        let count = drain::arrived(bench, route.direction, &ends.target).await?;
        ensure!(count == messages, "{count} of {messages} messages are in {}", ends.target);
        let arrivals = Arrivals::new(route.case.message.size, route.case.sources);
        let headers = match route.direction {
            Direction::ToKafka => {
                let mut reader = bench.kafka.reader(&ends.target, arrivals)?;
                reader.read_all(messages)?;
                reader.first_headers()
            }
            Direction::ToRabbitmq => bench.rabbit.read_all(&ends.target, messages, arrivals).await?,
        };
        first_headers.get_or_insert(headers);
    }
    Ok(first_headers.unwrap_or_default())
}
