//! What many bridges in one process take, idle and with a little to do.
//!
//! Each bridge moves a queue of its own into one topic. Memory, threads, descriptors, wake-ups and CPU are those of the whole process. A run
//! ends by counting the topic: everything that was published must be there.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::{
    bench::Bench,
    case::Case,
    configuration::{self, Mapping},
    control::Control,
    direction::Direction,
    kafka::fresh_name,
    process::{Process, eventually},
    route::Ends,
};

/// How many bridges.
const BRIDGES: [u32; 4] = [1, 10, 100, 300];
const QUICK_BRIDGES: [u32; 2] = [1, 10];
/// What has to be done once after the start is done by then.
const SETTLING: Duration = Duration::from_secs(5);
/// Messages a second for each bridge, where they have something to do.
const PACE: u32 = 10;
/// How long the topic may take to hold everything.
const ARRIVAL_DEADLINE: Duration = Duration::from_secs(60);

/// One run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Scale {
    pub(crate) bridges: u32,
    /// Messages a second for each, as they were published.
    pub(crate) pace: f64,
    pub(crate) ready_seconds: f64,
    pub(crate) resident_bytes: u64,
    pub(crate) threads: u64,
    pub(crate) descriptors: u64,
    pub(crate) amqp_connections: u64,
    pub(crate) wake_ups_per_second: f64,
    /// Of one.
    pub(crate) cores: f64,
    pub(crate) scrape_bytes: u64,
    pub(crate) scrape_millis: f64,
    pub(crate) stop_seconds: f64,
}

/// Measures each number of bridges, idle and with something to do.
pub(crate) async fn measure(bench: &Bench, amqp_port: u16, quick: bool) -> Result<Vec<Scale>> {
    let (counts, time) =
        if quick { (&QUICK_BRIDGES[..], Duration::from_secs(2)) } else { (&BRIDGES[..], Duration::from_secs(20)) };
    let mut runs = Vec::new();
    for &bridges in counts {
        for pace in [0, PACE] {
            eprintln!("{bridges} bridges, {pace} messages/s each");
            let run = Run { bench, amqp_port, bridges, pace, time }.measure().await?;
            eprintln!(
                "  {} MiB, {:.3} cores, {:.0} wake-ups/s",
                run.resident_bytes >> 20,
                run.cores,
                run.wake_ups_per_second
            );
            runs.push(run);
        }
    }
    Ok(runs)
}

struct Run<'a> {
    bench: &'a Bench,
    amqp_port: u16,
    bridges: u32,
    pace: u32,
    time: Duration,
}

impl Run<'_> {
    async fn measure(&self) -> Result<Scale> {
        let name = fresh_name("scale");
        let queues: Vec<_> = (0..self.bridges).map(|bridge| format!("{name}-{bridge}")).collect();
        for queue in &queues {
            self.bench.rabbit.create(queue, Case::PLAIN.queue).await?;
        }
        self.bench.kafka.create(&name).await?;
        self.bench.quiet().await;
        let run = self.with(&queues, &name).await?;
        for queue in &queues {
            self.bench.rabbit.finish(queue).await?;
        }
        self.bench.kafka.delete(&name).await?;
        Ok(run)
    }

    async fn with(&self, queues: &[String], topic: &str) -> Result<Scale> {
        let control = Control::new()?;
        let bridges = queues.iter().map(|queue| {
            let ends = Ends { sources: vec![queue.clone()], target: topic.to_owned() };
            configuration::bridge(Direction::ToKafka, &ends, Mapping::Default)
        });
        let connections = self.bench.starter.endpoints.connections(false)?;
        let configuration = configuration::text(&connections, control.port(), bridges);
        let begun = Instant::now();
        let mut gantry = self.bench.starter.start_gantry(&configuration, false)?;
        control.ready(&mut gantry).await?;
        let ready_seconds = begun.elapsed().as_secs_f64();
        let before = self.feed(queues, SETTLING, 0).await?;
        let process = gantry.footprint();
        let (started, cpu, wake_ups) = (Instant::now(), gantry.cpu.read(), process.wake_ups()?);
        let sent = self.feed(queues, self.time, before).await?;
        let seconds = started.elapsed().as_secs_f64();
        let cores = gantry.cpu.read().saturating_sub(cpu).as_secs_f64() / seconds;
        let wake_ups_per_second = process.wake_ups()?.saturating_sub(wake_ups) as f64 / seconds;
        let asked = Instant::now();
        let scrape_bytes = control.get("/metrics")?.len() as u64;
        let scrape_millis = asked.elapsed().as_secs_f64() * 1000.0;
        let run = Scale {
            bridges: self.bridges,
            pace: (sent - before) as f64 / seconds,
            ready_seconds,
            resident_bytes: process.resident_bytes()?,
            threads: process.threads()?,
            descriptors: process.descriptors()?,
            amqp_connections: process.connections_to(self.amqp_port)?,
            wake_ups_per_second,
            cores,
            scrape_bytes,
            scrape_millis,
            stop_seconds: self.stop(gantry, topic, sent).await?,
        };
        Ok(run)
    }

    /// Gives every bridge something to do for that long, if they are to have any; how many messages there are then in each queue.
    async fn feed(&self, queues: &[String], time: Duration, mut sent: u64) -> Result<u64> {
        if self.pace == 0 {
            tokio::time::sleep(time).await;
            return Ok(sent);
        }
        let mut turns = tokio::time::interval(Duration::from_secs(1) / self.pace);
        let end = Instant::now() + time;
        while Instant::now() < end {
            turns.tick().await;
            sent += 1;
            for queue in queues {
                self.bench.rabbit.publish(queue, Case::PLAIN.message, sent).await?;
            }
        }
        Ok(sent)
    }

    /// How long it takes to end, once everything has arrived.
    async fn stop(&self, gantry: Process, topic: &str, sent: u64) -> Result<f64> {
        let all = sent * u64::from(self.bridges);
        eventually("everything has arrived", ARRIVAL_DEADLINE, async || {
            Ok((self.bench.kafka.count(topic)? >= all).then_some(()))
        })
        .await?;
        let begun = Instant::now();
        gantry.terminate().await?;
        let seconds = begun.elapsed().as_secs_f64();
        let there = self.bench.kafka.count(topic)?;
        ensure!(there == all, "{there} records are in the topic, and {all} messages were published");
        Ok(seconds)
    }
}
