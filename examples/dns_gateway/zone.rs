//! A zone that is answered here, from a master file (RFC 1035, 5), by the algorithm of RFC 1034 (4.3.2):
//! records, CNAMEs, wildcards (RFC 4592), referrals with glue, and the two kinds of nothing.
//!
//! It is not signed: RRSIG and its like are not read.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordSet, RecordType, RrKey};
use hickory_proto::serialize::txt::Parser;

use crate::limits::CNAMES_MAX;

/// A zone in memory.
#[derive(Debug)]
pub(crate) struct Zone {
    apex: LowerName,
    sets: BTreeMap<RrKey, RecordSet>,
    /// Every name that exists, those without records between others and the apex included.
    names: HashSet<LowerName>,
    /// What says how long nothing stays nothing.
    soa: Record,
}

/// What a name is, on the way from a question to its answer.
enum Place {
    Outside,
    /// Others answer for it, from this name down.
    Delegated(LowerName),
    /// Its records are those of this name: itself, or a wildcard.
    At(LowerName),
    Nowhere,
}

impl Zone {
    /// Reads a master file.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for whoever has written it.
    pub(crate) fn load(file: &Path) -> Result<Zone, String> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("cannot read the zone {}: {error}", file.display()))?;
        Zone::parse(&text, file).map_err(|error| format!("in the zone {}: {error}", file.display()))
    }

    fn parse(text: &str, file: &Path) -> Result<Zone, String> {
        let parser = Parser::new(text, Some(file.to_owned()), Some(Name::root()));
        let (_, sets) = parser.parse().map_err(|error| error.to_string())?;
        let mut soas = sets
            .values()
            .filter(|set| set.record_type() == RecordType::SOA);
        let (Some(soa), None) = (soas.next(), soas.next()) else {
            return Err("there has to be one SOA record".to_owned());
        };
        let apex = LowerName::new(soa.name());
        let mut soa = soa
            .records_without_rrsigs()
            .next()
            .cloned()
            .ok_or("an empty SOA record")?;
        if let RData::SOA(data) = &soa.data {
            // RFC 2308, 3.
            soa.ttl = soa.ttl.min(data.minimum);
        }
        let mut names = HashSet::new();
        for set in sets.values() {
            let mut name = LowerName::new(set.name());
            if !apex.zone_of(&name) {
                return Err(format!(
                    "{name} is not in {apex}; does the file begin with `$ORIGIN {apex}`?"
                ));
            }
            while name != apex && names.insert(name.clone()) {
                name = name.base_name();
            }
        }
        names.insert(apex.clone());
        Ok(Zone {
            apex,
            sets,
            names,
            soa,
        })
    }

    /// The name of the zone.
    pub(crate) fn apex(&self) -> &LowerName {
        &self.apex
    }

    /// Whether a name is answered here.
    pub(crate) fn contains(&self, name: &Name) -> bool {
        self.apex.zone_of(&LowerName::new(name))
    }

    /// Answers a question of a name that is answered here.
    pub(crate) fn answer(&self, question: &Query) -> Message {
        let mut reply = Message::new(0, MessageType::Response, OpCode::Query);
        reply.add_query(question.clone());
        reply.metadata.authoritative = true;
        let mut name = question.name().clone();
        for _ in 0..=CNAMES_MAX {
            // A CNAME that leads back is followed no further.
            if reply.answers.iter().any(|record| record.name == name) {
                break;
            }
            match self.answer_for(&name, question.query_type(), &mut reply) {
                Some(target) => name = target,
                None => break,
            }
        }
        reply
    }

    /// The name outside to which the CNAMEs of an answer lead, if what was asked for has to be found there.
    pub(crate) fn way_out(&self, reply: &Message) -> Option<Name> {
        let asked = reply.queries.first()?.query_type();
        let RData::CNAME(target) = &reply.answers.last()?.data else {
            return None;
        };
        let is_led = !matches!(asked, RecordType::CNAME | RecordType::ANY);
        (is_led && !self.contains(&target.0)).then(|| target.0.clone())
    }

    /// Adds what there is of `name`. If that is a CNAME, returns where it leads.
    fn answer_for(&self, name: &Name, kind: RecordType, reply: &mut Message) -> Option<Name> {
        let owner = match self.place(&LowerName::new(name), kind) {
            Place::Outside => return None,
            Place::Delegated(cut) => {
                self.refer(&cut, reply);
                return None;
            }
            Place::Nowhere => {
                reply.metadata.response_code = ResponseCode::NXDomain;
                reply.add_authority(self.soa.clone());
                return None;
            }
            Place::At(owner) => owner,
        };
        let found = reply.answers.len();
        reply.answers.extend(
            self.records(&owner, kind)
                .map(|record| renamed(record, name)),
        );
        if reply.answers.len() > found {
            return None;
        }
        let cname = self.records(&owner, RecordType::CNAME).next();
        let Some((cname, RData::CNAME(target))) = cname.map(|record| (record, &record.data)) else {
            reply.add_authority(self.soa.clone());
            return None;
        };
        reply.add_answer(renamed(cname, name));
        Some(target.0.clone())
    }

    fn place(&self, name: &LowerName, kind: RecordType) -> Place {
        if !self.apex.zone_of(name) {
            return Place::Outside;
        }
        // From the apex down, so that the highest delegation counts.
        let mut ways = vec![name.clone()];
        while let Some(last) = ways.last().filter(|last| **last != self.apex) {
            let above = last.base_name();
            ways.push(above);
        }
        let mut closest = self.apex.clone();
        for way in ways.into_iter().rev().skip(1) {
            if !self.names.contains(&way) {
                let wildcard = wildcard_of(&closest).filter(|name| self.names.contains(name));
                return wildcard.map_or(Place::Nowhere, Place::At);
            }
            // What is asked of a parent about its child: RFC 4035, 3.1.4.1.
            let is_of_parent = kind == RecordType::DS && way == *name;
            if self.set(&way, RecordType::NS).is_some() && !is_of_parent {
                return Place::Delegated(way);
            }
            closest = way;
        }
        Place::At(name.clone())
    }

    /// Names who answers from `cut` down, and where they are if that is known here only.
    fn refer(&self, cut: &LowerName, reply: &mut Message) {
        reply.metadata.authoritative = !reply.answers.is_empty();
        for record in self.records(cut, RecordType::NS) {
            reply.add_authority(record.clone());
            if let RData::NS(server) = &record.data {
                let server = LowerName::new(&server.0);
                for kind in [RecordType::A, RecordType::AAAA] {
                    reply
                        .additionals
                        .extend(self.records(&server, kind).cloned());
                }
            }
        }
    }

    fn set(&self, name: &LowerName, kind: RecordType) -> Option<&RecordSet> {
        self.sets.get(&RrKey::new(name.clone(), kind))
    }

    /// The records of a name that a question of `kind` is answered by.
    fn records(&self, name: &LowerName, kind: RecordType) -> impl Iterator<Item = &Record> {
        let first = RrKey::new(name.clone(), kind);
        let owner = name.clone();
        let any = (kind == RecordType::ANY).then(|| {
            self.sets
                .iter()
                .filter(move |(key, _)| *key.name() == owner)
                .map(|(_, set)| set)
        });
        let one = self.sets.get(&first);
        any.into_iter()
            .flatten()
            .chain(one)
            .flat_map(|set| set.records_without_rrsigs())
    }
}

/// `*.name`.
fn wildcard_of(name: &LowerName) -> Option<LowerName> {
    let star = Name::from_ascii("*").ok()?;
    let name = star.append_domain(&Name::from(name)).ok()?;
    Some(LowerName::new(&name))
}

fn renamed(record: &Record, name: &Name) -> Record {
    let mut record = record.clone();
    record.name = name.clone();
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: &str = "\
$ORIGIN example.test.
$TTL 3600
@ IN SOA ns1 admin ( 1 3600 600 86400 60 )
@ IN NS ns1
ns1 IN A 192.0.2.1
www IN A 192.0.2.2
www IN A 192.0.2.3
alias IN CNAME www
here IN CNAME there
there IN CNAME here
out IN CNAME www.elsewhere.test.
lost IN CNAME missing
*.wild IN TXT \"any\"
a.b.deep IN A 192.0.2.8
sub IN NS ns.sub
ns.sub IN A 192.0.2.7
";

    fn parse(text: &str) -> Result<Zone, String> {
        Zone::parse(text, Path::new("example.zone"))
    }

    fn ask(name: &str, kind: RecordType) -> Message {
        let zone = parse(ZONE).expect("a zone");
        let name = Name::from_ascii(name).expect("a name");
        assert!(zone.contains(&name));
        zone.answer(&Query::query(name, kind))
    }

    fn counts(reply: &Message) -> (usize, usize, usize) {
        (
            reply.answers.len(),
            reply.authorities.len(),
            reply.additionals.len(),
        )
    }

    #[test]
    fn records_are_found_whatever_the_case_of_their_name() {
        let reply = ask("WWW.example.test.", RecordType::A);
        assert!(reply.authoritative);
        assert_eq!(counts(&reply), (2, 0, 0));
        assert_eq!(counts(&ask("example.test.", RecordType::ANY)), (2, 0, 0));
    }

    #[test]
    fn there_are_two_kinds_of_nothing_and_both_say_for_how_long() {
        for (name, code) in [
            ("www.example.test.", ResponseCode::NoError),
            ("b.deep.example.test.", ResponseCode::NoError),
            ("wild.example.test.", ResponseCode::NoError),
            ("c.deep.example.test.", ResponseCode::NXDomain),
            ("missing.example.test.", ResponseCode::NXDomain),
            ("a.www.example.test.", ResponseCode::NXDomain),
        ] {
            let reply = ask(name, RecordType::MX);
            assert_eq!(
                (reply.response_code, counts(&reply)),
                (code, (0, 1, 0)),
                "{name}"
            );
            assert_eq!(reply.authorities[0].ttl, 60, "{name}");
        }
    }

    #[test]
    fn cnames_are_followed_to_their_end_and_not_in_circles() {
        assert_eq!(
            counts(&ask("alias.example.test.", RecordType::A)),
            (3, 0, 0)
        );
        assert_eq!(
            counts(&ask("alias.example.test.", RecordType::CNAME)),
            (1, 0, 0)
        );
        assert_eq!(counts(&ask("here.example.test.", RecordType::A)), (2, 0, 0));
        let out = ask("out.example.test.", RecordType::A);
        assert_eq!(counts(&out), (1, 0, 0));
        let zone = parse(ZONE).expect("a zone");
        let elsewhere = Name::from_ascii("www.elsewhere.test.").expect("a name");
        assert_eq!(zone.way_out(&out), Some(elsewhere));
        for kind in [RecordType::CNAME, RecordType::ANY] {
            assert_eq!(zone.way_out(&ask("out.example.test.", kind)), None);
        }
        assert_eq!(
            zone.way_out(&ask("here.example.test.", RecordType::A)),
            None
        );
        let lost = ask("lost.example.test.", RecordType::A);
        assert_eq!(
            (lost.response_code, counts(&lost)),
            (ResponseCode::NXDomain, (1, 1, 0))
        );
    }

    #[test]
    fn a_wildcard_answers_for_names_that_do_not_exist() {
        let reply = ask("x.y.wild.example.test.", RecordType::TXT);
        assert_eq!(counts(&reply), (1, 0, 0));
        assert_eq!(reply.answers[0].name.to_ascii(), "x.y.wild.example.test.");
    }

    #[test]
    fn a_delegation_names_who_answers_and_where_they_are() {
        for name in [
            "sub.example.test.",
            "a.b.sub.example.test.",
            "ns.sub.example.test.",
        ] {
            let reply = ask(name, RecordType::A);
            assert!(!reply.authoritative, "{name}");
            assert_eq!(counts(&reply), (0, 1, 1), "{name}");
        }
        let of_parent = ask("sub.example.test.", RecordType::DS);
        assert!(of_parent.authoritative);
        assert_eq!(counts(&of_parent), (0, 1, 0));
    }

    #[test]
    fn a_file_that_is_no_zone_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "SOA"),
            ("a.test. 60 IN A 192.0.2.1\n", "SOA"),
            (
                "$TTL 60\na.test. IN SOA b. c. ( 1 2 3 4 5 )\nwww IN A 192.0.2.1\n",
                "$ORIGIN a.test.",
            ),
            (
                "$TTL 60\na.test. IN SOA b. c. ( 1 2 3 4 5 )\nwww.a.test. IN A 192.0.2\n",
                "IP",
            ),
        ] {
            let error = parse(text).expect_err(reason);
            assert!(error.contains(reason), "{error}");
        }
        let error = Zone::load(Path::new("/nowhere/a.zone")).expect_err("no file");
        assert!(error.contains("/nowhere/a.zone"), "{error}");
    }
}
