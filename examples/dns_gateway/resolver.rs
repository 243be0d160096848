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
            Some(answer) => Ok(answer),
            // In a box, so that the tasks that do not need it are small.
            None => Box::pin(self.find(&query, key.as_bytes())).await,
        };
        match found {
            Ok(answer) => Some(write(&answer, &query, transport)),
            Err(rejected) => self.reject(packet, rejected),
        }
    }

    /// The answer to a packet that came by UDP, if it is in the cache.
    pub(crate) fn reply_at_hand(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let query = Query::read(packet).ok()?;
        let answer = self.cached(&query, query.key().as_bytes())?;
        Some(write(&answer, &query, Transport::Udp))
    }

    /// The answer to a packet if it does not have to wait: out of the cache or the zone.
    pub(crate) fn reply_now(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let query = match Query::read(packet) {
            Ok(query) => query,
            Err(rejected) => return self.reject(packet, rejected),
        };
        let key = query.key();
        let answer = match self.cached(&query, key.as_bytes()) {
            Some(answer) => answer,
            None => {
                let reply = self.reply_of_zone(&query.decode()?)?;
                let answer = Arc::new(Answer::of_zone(reply)?);
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
    fn cached(&self, query: &Query<'_>, key: &[u8]) -> Option<Arc<Answer>> {
        let answer = self.cache.get(key, Instant::now())?;
        let may_have_it = query.recursion_desired() || answer.is_ours();
        self.counters.hits.add_if(may_have_it);
        may_have_it.then_some(answer)
    }

    /// The answer that is not in the cache, fetched once however many want it.
    async fn find(&self, query: &Query<'_>, key: &[u8]) -> Result<Arc<Answer>, Rejected> {
        let Some(question) = query.decode() else {
            return Err(query.rejected(ResponseCode::FormErr));
        };
        if !query.recursion_desired() {
            // Not kept: who does want others to be asked may get more.
            let answer = self.reply_of_zone(&question).and_then(Answer::of_zone);
            return answer
                .map(Arc::new)
                .ok_or_else(|| query.rejected(ResponseCode::Refused));
        }
        if self.upstreams.is_none() && !self.is_ours(&question) {
            return Err(query.rejected(ResponseCode::Refused));
        }
        match self.cache.get_or_wait(key).await {
            Found::Answer(answer) => {
                self.counters.coalesced.add();
                Ok(answer)
            }
            Found::Vacancy(vacancy) => {
                self.counters.misses.add();
                let answer = self
                    .fetch(query, question)
                    .await
                    .unwrap_or_else(|lifetime| {
                        self.counters.failures.add();
                        Answer::failure(query, ResponseCode::ServFail, lifetime)
                    });
                let answer = Arc::new(answer);
                vacancy.fill(&answer);
                Ok(answer)
            }
        }
    }

    /// What the zone says, or an upstream, or both. An error is for how long it is to be remembered that there is no answer.
    async fn fetch(&self, query: &Query<'_>, question: op::Query) -> Result<Answer, Duration> {
        let Some(reply) = self.reply_of_zone(&question) else {
            let reply = self.ask(query, question).await?;
            return from_upstream(reply).ok_or(FAILURE_LIFETIME);
        };
        let way_out = self.zone.as_ref().and_then(|zone| zone.way_out(&reply));
        let Some(target) = way_out.filter(|_| self.upstreams.is_some()) else {
            return Answer::of_zone(reply).ok_or(FAILURE_LIFETIME);
        };
        let mut elsewhere = question;
        elsewhere.set_name(target);
        let rest = self.ask(query, elsewhere).await?;
        from_upstream(joined(reply, rest)).ok_or(FAILURE_LIFETIME)
    }

    async fn ask(&self, query: &Query<'_>, question: op::Query) -> Result<Message, Duration> {
        let upstreams = self.upstreams.as_ref().ok_or(FAILURE_LIFETIME)?;
        // Too many are being asked: that says nothing about this question.
        let Ok(Ok(_permit)) = timeout(self.patience, self.room.acquire()).await else {
            return Err(Duration::ZERO);
        };
        let request = Request {
            question,
            dnssec_ok: query.dnssec_ok(),
            checking_disabled: query.checking_disabled(),
        };
        let reply = upstreams.ask(&request, &self.counters).await;
        reply.map_err(|_| FAILURE_LIFETIME)
    }

    fn is_ours(&self, question: &op::Query) -> bool {
        self.zone
            .as_ref()
            .is_some_and(|zone| zone.contains(question.name()))
    }

    fn reply_of_zone(&self, question: &op::Query) -> Option<Message> {
        let zone = self.zone.as_ref()?;
        if !zone.contains(question.name()) {
            return None;
        }
        self.counters.from_zone.add();
        Some(zone.answer(question))
    }
}

/// The reply of the zone, which leads out of it, with what was found there. Nobody has validated the whole.
fn joined(mut reply: Message, rest: Message) -> Message {
    reply.metadata.response_code = rest.response_code;
    reply.answers.extend(rest.answers);
    reply.authorities = rest.authorities;
    reply.additionals = rest.additionals;
    reply
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
