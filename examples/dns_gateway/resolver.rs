//! From a packet to its answer: out of the cache, the zone, or from an upstream.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::{self, Message, ResponseCode};
use ringway::sync::Semaphore;
use ringway::time::timeout;

use crate::answer::{self, Answer};
use crate::cache::{Cache, Found};
use crate::counters::Counters;
use crate::lifetime;
use crate::limits::{FAILURE_LIFETIME, Limits, TCP_BYTES_MAX, TRIES};
use crate::query::{Query, Rejected};
use crate::upstream::{Request, Upstreams};
use crate::zone::Zone;

/// What answers packets. It knows nothing of the sockets that they come by.
pub(crate) struct Resolver {
    cache: Cache,
    zone: Option<Zone>,
    upstreams: Option<Upstreams>,
    /// One permit for each question that upstreams may still be asked.
    room: Semaphore,
    /// For a permit.
    patience: Duration,
    counters: Arc<Counters>,
}

/// What a packet has come by, and its answer will leave by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

impl Resolver {
    pub(crate) fn new(
        zone: Option<Zone>,
        upstreams: Option<Upstreams>,
        limits: &Limits,
        counters: Arc<Counters>,
    ) -> Resolver {
        Resolver {
            cache: Cache::new(limits.cache_bytes),
            zone,
            upstreams,
            room: Semaphore::new(limits.upstream),
            patience: limits.reply * TRIES as u32,
            counters,
        }
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The answer to a packet, if it gets one.
    pub(crate) async fn reply(&self, packet: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let query = match Query::read(packet) {
            Ok(query) => query,
            Err(rejected) => return self.reject(packet, rejected),
        };
        let key = query.key();
        let found = match self.cached(&query, key.as_bytes()) {
            Some(found) => found,
            // In a box, so that the tasks that do not need it are small.
            None => Box::pin(self.find(&query, key.as_bytes())).await,
        };
        match found {
            Ok(answer) => Some(write(&answer, &query, transport)),
            Err(rejected) => self.reject(packet, rejected),
        }
    }

    /// The answer to a packet if it does not have to wait: out of the cache or the zone.
    pub(crate) fn reply_now(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let query = match Query::read(packet) {
            Ok(query) => query,
            Err(rejected) => return self.reject(packet, rejected),
        };
        let key = query.key();
        let answer = match self.cached(&query, key.as_bytes()) {
            Some(found) => found.ok()?,
            None => {
                let answer = Arc::new(self.answer_of_zone(&query.decode()?)?);
                self.cache.insert(key.as_bytes(), &answer);
                answer
            }
        };
        Some(write(&answer, &query, Transport::Udp))
    }

    fn reject(&self, packet: &[u8], rejected: Rejected) -> Option<Vec<u8>> {
        self.counters.rejected.add();
        answer::write_rejection(packet, rejected)
    }

    /// The answer that is in the cache. Who does not want us to ask others gets what we know ourselves, but is not
    /// told what others have asked for.
    fn cached(&self, query: &Query<'_>, key: &[u8]) -> Option<Result<Arc<Answer>, Rejected>> {
        let answer = self.cache.get(key, Instant::now())?;
        if !query.recursion_desired() && !answer.is_ours() {
            return Some(Err(query.rejected(ResponseCode::Refused)));
        }
        self.counters.hits.add();
        Some(Ok(answer))
    }

    /// The answer that is not in the cache, fetched once however many want it.
    async fn find(&self, query: &Query<'_>, key: &[u8]) -> Result<Arc<Answer>, Rejected> {
        let Some(question) = query.decode() else {
            return Err(query.rejected(ResponseCode::FormErr));
        };
        let may_ask = query.recursion_desired() && self.upstreams.is_some();
        if !may_ask && !self.is_ours(&question) {
            return Err(query.rejected(ResponseCode::Refused));
        }
        match self.cache.get_or_wait(key).await {
            Found::Answer(answer) => {
                self.counters.coalesced.add();
                Ok(answer)
            }
            Found::Vacancy(vacancy) => {
                self.counters.misses.add();
                let answer = Arc::new(self.fetch(query, question).await);
                vacancy.fill(&answer);
                Ok(answer)
            }
        }
    }

    async fn fetch(&self, query: &Query<'_>, question: op::Query) -> Answer {
        if let Some(answer) = self.answer_of_zone(&question) {
            return answer;
        }
        let failure = |lifetime| {
            self.counters.failures.add();
            Answer::failure(query, ResponseCode::ServFail, lifetime)
        };
        // Too many are being asked: that says nothing about this question.
        let Ok(Ok(_permit)) = timeout(self.patience, self.room.acquire()).await else {
            return failure(Duration::ZERO);
        };
        let request = Request {
            question,
            dnssec_ok: query.dnssec_ok(),
            checking_disabled: query.checking_disabled(),
        };
        let reply = match &self.upstreams {
            Some(upstreams) => upstreams.ask(&request, &self.counters).await.ok(),
            None => None,
        };
        reply
            .and_then(from_upstream)
            .unwrap_or_else(|| failure(FAILURE_LIFETIME))
    }

    fn is_ours(&self, question: &op::Query) -> bool {
        self.zone
            .as_ref()
            .is_some_and(|zone| zone.contains(question.name()))
    }

    fn answer_of_zone(&self, question: &op::Query) -> Option<Answer> {
        let zone = self.zone.as_ref()?;
        if !zone.contains(question.name()) {
            return None;
        }
        self.counters.from_zone.add();
        Answer::of_zone(zone.answer(question))
    }
}

/// What of an upstream's reply is kept. A code that only EDNS can express is none for clients without it.
fn from_upstream(mut reply: Message) -> Option<Answer> {
    let lifetime = lifetime::of(&reply);
    if reply.response_code.high() > 0 {
        reply.metadata.response_code = ResponseCode::ServFail;
    }
    reply.metadata.authoritative = false;
    Answer::of_upstream(reply, lifetime)
}

fn write(answer: &Answer, query: &Query<'_>, transport: Transport) -> Vec<u8> {
    let bytes_max = match transport {
        Transport::Udp => query.udp_bytes_max(),
        Transport::Tcp => TCP_BYTES_MAX,
    };
    answer.write(query, Instant::now(), bytes_max)
}
