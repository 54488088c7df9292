//! Publishes what no client library publishes: names that are not UTF-8.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::amqp_url;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

/// Publishes one message, by guest. `properties` are flags and fields as they are on the wire. It is in its queues, or
/// nowhere, when this returns.
pub(crate) async fn publish_raw(exchange: &[u8], key: &[u8], properties: &[u8], body: &[u8]) {
    let url = amqp_url();
    let place = url.rsplit('@').next().and_then(|rest| rest.split('/').next()).expect("the URL names a host");
    let mut stream = TcpStream::connect(place).await.expect("RabbitMQ answers; if not, run scripts/brokers up");
    stream.write_all(b"AMQP\0\0\x09\x01").await.expect("it listens");
    expect(&mut stream, 10, 10).await;
    let start_ok = [&long(b"")[..], &short(b"PLAIN"), &long(b"\0guest\0guest"), &short(b"en_US")].concat();
    say(&mut stream, 0, METHOD, &[&[0, 10, 0, 11], &start_ok[..]].concat()).await;
    expect(&mut stream, 10, 30).await;
    // Ten channels, 128 KiB frames, no heartbeats.
    say(&mut stream, 0, METHOD, &[0, 10, 0, 31, 0, 10, 0, 2, 0, 0, 0, 0]).await;
    say(&mut stream, 0, METHOD, &[&[0, 10, 0, 40], &short(b"/")[..], &short(b""), &[0]].concat()).await;
    expect(&mut stream, 10, 41).await;
    say(&mut stream, 1, METHOD, &[&[0, 20, 0, 10], &short(b"")[..]].concat()).await;
    expect(&mut stream, 20, 11).await;
    // With confirms, so that its answer says when it is there.
    say(&mut stream, 1, METHOD, &[0, 85, 0, 10, 0]).await;
    expect(&mut stream, 85, 11).await;
    say(&mut stream, 1, METHOD, &[&[0, 60, 0, 40, 0, 0], &short(exchange)[..], &short(key), &[0]].concat()).await;
    let size = (body.len() as u64).to_be_bytes();
    say(&mut stream, 1, HEADER, &[&[0, 60, 0, 0], &size[..], properties].concat()).await;
    say(&mut stream, 1, BODY, body).await;
    expect(&mut stream, 60, 80).await;
}

/// A short string.
pub(crate) fn short(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).expect("it is short")], bytes].concat()
}

/// A long string; a table is one of its fields.
pub(crate) fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).expect("it is short").to_be_bytes()[..], bytes].concat()
}

async fn say(stream: &mut TcpStream, channel: u8, kind: u8, payload: &[u8]) {
    let frame = [&[kind, 0, channel], &long(payload)[..], &[0xce]].concat();
    stream.write_all(&frame).await.expect("it listens");
}

/// Reads one frame, which must be this method.
async fn expect(stream: &mut TcpStream, class: u16, method: u16) {
    let mut head = [0; 7];
    stream.read_exact(&mut head).await.expect("it answers");
    let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
    let mut rest = vec![0; length + 1];
    stream.read_exact(&mut rest).await.expect("it answers");
    let said = (u16::from_be_bytes([rest[0], rest[1]]), u16::from_be_bytes([rest[2], rest[3]]));
    assert_eq!(said, (class, method), "{}", String::from_utf8_lossy(&rest));
}
