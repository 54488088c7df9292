use futures_util::future::poll_fn;

use super::*;

/// Brings at most so many bytes at a read.
struct Portions(Vec<u8>, usize);

impl AsyncRead for Portions {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let count = self.1.min(buffer.len()).min(self.0.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0.drain(..count);
        Poll::Ready(Ok(count))
    }
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it is short").to_be_bytes();
    [&[kind, 0, 7], &length[..], payload, &[0xce]].concat()
}

fn name(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).expect("it is short")], bytes].concat()
}

fn tune(frame_max: u32) -> Vec<u8> {
    frame(1, &[&[0, 10, 0, 30, 7, 255], &frame_max.to_be_bytes()[..], &[0, 60]].concat())
}

fn deliver(exchange: &[u8], key: &[u8]) -> Vec<u8> {
    let tag_and_redelivered = [0xff, 0, 0, 0, 0, 0, 0, 0xff, 1];
    frame(1, &[&[0, 60, 0, 60], &name(b"consumer")[..], &tag_and_redelivered, &name(exchange), &name(key)].concat())
}

/// Headers, a delivery mode, a message id and a timestamp.
fn header(field: &[u8], id: &[u8]) -> Vec<u8> {
    let table = |fields: &[u8]| [&u32::try_from(fields.len()).expect("it is short").to_be_bytes()[..], fields].concat();
    let inner = table(&[&name(field)[..], b"S\0\0\0\x02\xff\xfe"].concat());
    let list = table(&[b"F", &inner[..], b"l\xff\0\0\0\0\0\0\0"].concat());
    let fields = [&name(b"plain")[..], b"V", &name(field), b"A", &list, &name(b"last"), b"t\x01"].concat();
    let flags = 1_u16 << 13 | 1 << 12 | 1 << 7 | 1 << 6;
    let head = [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3], &flags.to_be_bytes()[..]].concat();
    frame(2, &[&head[..], &table(&fields), &[2], &name(id), &[0, 0, 0, 0, 0xff, 0, 0, 0]].concat())
}

/// What comes out when so much is read at a time, into so much room.
async fn through(data: &[u8], portion: usize, room: usize) -> Vec<u8> {
    let mut stream = Escaping::new(Portions(data.to_vec(), portion), "test", 0);
    let (mut out, mut buffer) = (Vec::new(), vec![0; room]);
    loop {
        match poll_fn(|context| Pin::new(&mut stream).poll_read(context, &mut buffer)).await.expect("it reads") {
            0 => return out,
            count => out.extend_from_slice(&buffer[..count]),
        }
    }
}

#[tokio::test]
async fn what_is_not_utf8_is_escaped_wherever_the_reads_cut() {
    let body = frame(3, b"\x01\xff\xce");
    let come = [
        tune(131_072),
        deliver(b"orders", b"new"),
        header(b"tenant", b"1"),
        body.clone(),
        deliver(b"caf\xe9", b"\xff\xfe"),
        header(b"t\xffx", b"\xe9"),
        body.clone(),
        frame(8, &[]),
        deliver(b"", "größe".as_bytes()),
    ]
    .concat();
    let expected = [
        tune(131_072),
        deliver(b"orders", b"new"),
        header(b"tenant", b"1"),
        body.clone(),
        deliver(b"caf%E9", b"%FF%FE"),
        header(b"t%FFx", b"%E9"),
        body,
        frame(8, &[]),
        deliver(b"", "größe".as_bytes()),
    ]
    .concat();
    for portion in (1..40).chain([1000]) {
        for room in [1, 50, ROOM, 4 * ROOM] {
            assert_eq!(through(&come, portion, room).await, expected, "{portion} into {room}");
        }
    }
}

#[tokio::test]
async fn a_frame_never_gets_larger_than_agreed() {
    let come = [tune(110), header(b"tenant\xff\xff\xff\xff", b"1")].concat();
    let out = through(&come, 1000, 4 * ROOM).await;
    assert_eq!(out, [tune(110), header(b"tenant????", b"1")].concat());
}

#[tokio::test]
async fn what_is_no_amqp_and_what_does_not_parse_pass_as_they_are() {
    let torn = [tune(0), deliver(b"caf\xe9", b"x")[..20].to_vec()].concat();
    let lying = frame(1, &[0, 60, 0, 60, 200, 0xff, 0xff]);
    for come in [b"HTTP/1.1 400 Bad Request\r\n\xff".to_vec(), b"AMQP\0\0\x09\x01".to_vec(), torn, lying] {
        for portion in [1, 1000] {
            assert_eq!(through(&come, portion, 4 * ROOM).await, come);
        }
    }
}
