//! The two directions of a Unix stream, borrowed or each with its own owner.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BufMut;
use ringway_runtime::driver::{AsSharedFd, SharedFd};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{SocketAddr, UnixStream};
use crate::op;
use crate::socket::{Duplex, halves};
use crate::{Interest, Ready};

halves!(UnixStream, SocketAddr, op::recv_to_boundary);
