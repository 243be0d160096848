//! The pages of the guide and the README, each as the documentation of a module, so that `cargo test` compiles and runs
//! every block of code in them.

#![forbid(unsafe_code)]

/// Makes a module of each page.
macro_rules! pages {
    ($($page:ident)*) => {$(
        #[doc = include_str!(concat!("src/", stringify!($page), ".md"))]
        pub mod $page {}
    )*};
}

pages! {
    start tasks io files processes completion timers testing shutdown observing file_server kernels moving ecosystem
    tuning inside
}

#[doc = include_str!("../../README.md")]
pub mod readme {}
