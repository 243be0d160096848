//! Packets that are no queries.

use hickory_proto::op::{OpCode, ResponseCode};

use crate::support::{Client, Gateway, Upstream, encode, query};

#[test]
fn what_is_malformed_is_told_so_and_what_is_no_request_is_not_answered() {
    let upstream = Upstream::start(|asked| vec![asked.address(300)]);
    let gateway = Gateway::of(&upstream, &[]);
    let client = Client::of(&gateway);
    let whole = encode(&query("a.test."));
    // A response and a fragment of a header: if one was answered, the ids below would be wrong.
    let mut response = whole.clone();
    response[2] |= 0x80;
    client.send(&response);
    client.send(&whole[..11]);
    client.send(&[]);
    client.send(&whole[..20]);
    let answer = client.receive();
    assert_eq!(answer.response_code, ResponseCode::FormErr);
    assert_eq!(encode(&answer)[..2], whole[..2]);
    let mut status = query("a.test.");
    status.metadata.op_code = OpCode::Status;
    assert_eq!(client.ask(&status).response_code, ResponseCode::NotImp);
    let mut new_edns = query("a.test.");
    new_edns.edns.as_mut().expect("set").set_version(1);
    // The same number as BADVERS.
    assert_eq!(client.ask(&new_edns).response_code, ResponseCode::BADSIG);
    assert_eq!(upstream.count(), 0);
}

/// Every packet of two bytes changed in a query: the gateway survives and answers what follows.
#[test]
fn no_packet_ends_the_gateway() {
    let upstream = Upstream::start(|asked| vec![asked.address(300)]);
    let mut gateway = Gateway::of(&upstream, &["--max-upstream", "64"]);
    let client = Client::of(&gateway);
    let whole = encode(&query("www.a.test."));
    for place in 2..whole.len() {
        for byte in [0, 1, 0x3f, 0x40, 0x80, 0xc0, 0xff] {
            let mut packet = whole.clone();
            packet[place] = byte;
            client.send(&packet);
            packet.truncate(place);
            client.send(&packet);
        }
    }
    assert_eq!(Client::of(&gateway).ask(&query("b.test.")).answers.len(), 1);
    assert!(gateway.is_running());
}
