//! sqlx with a runtime of tokio's at the side of ours: a pool of connections to SQLite, whose statements run on threads of
//! sqlx's own, and whose deadlines and clean-ups are timers and tasks of tokio's.

use std::time::Duration;

use futures_util::TryStreamExt;
use ringway::time::timeout;
use ringway_compat_tests::{LONG, runtime};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use sqlx::{Error, Row, Sqlite};
use tempfile::TempDir;

/// Tasks that use the pool at once, and connections that they have among them.
const TASKS: i64 = 40;
const CONNECTIONS: u32 = 4;
/// Rows without end.
const ENDLESS: &str =
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c";

/// Runs `body` with a pool of so many connections to a database in a file of its own.
fn with_pool<F>(connections: u32, body: impl FnOnce(SqlitePool) -> F)
where
    F: Future<Output = ()>,
{
    let folder = TempDir::new().expect("a folder");
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("accounts"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(LONG);
    let whole = async {
        let pool = SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(LONG)
            .connect_with(options)
            .await
            .expect("a pool");
        let table = "CREATE TABLE accounts (name INTEGER PRIMARY KEY, amount INTEGER NOT NULL)";
        sqlx::query(table).execute(&pool).await.expect("a table");
        for name in 0..2 {
            let account = sqlx::query("INSERT INTO accounts VALUES (?, 1000)").bind(name);
            account.execute(&pool).await.expect("a row");
        }
        body(pool.clone()).await;
        pool.close().await;
    };
    runtime().block_on(async { timeout(LONG, whole).await.expect("in time") });
}

async fn amount(pool: &SqlitePool, name: i64) -> i64 {
    let asked = sqlx::query("SELECT amount FROM accounts WHERE name = ?").bind(name);
    asked.fetch_one(pool).await.expect("a row").get(0)
}

/// From the first account to the second, or nothing of it if `future` fails.
async fn transfer(
    pool: &SqlitePool,
    amount: i64,
    future: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    for (name, change) in [(0, -amount), (1, amount)] {
        sqlx::query("UPDATE accounts SET amount = amount + ? WHERE name = ?")
            .bind(change)
            .bind(name)
            .execute(&mut *transaction)
            .await?;
    }
    future.await?;
    transaction.commit().await
}

#[test]
fn tasks_of_ours_share_the_connections_of_a_pool() {
    with_pool(CONNECTIONS, |pool| async move {
        let transfers = (1..=TASKS).map(|number| {
            let pool = pool.clone();
            ringway::spawn(async move { transfer(&pool, number, async { Ok(()) }).await })
        });
        for transfer in transfers.collect::<Vec<_>>() {
            transfer.await.unwrap().unwrap();
        }
        let sum = TASKS * (TASKS + 1) / 2;
        assert_eq!(amount(&pool, 0).await, 1000 - sum);
        assert_eq!(amount(&pool, 1).await, 1000 + sum);
        assert!(pool.size() <= CONNECTIONS, "{} connections", pool.size());
    });
}

#[test]
fn a_transaction_that_fails_or_is_dropped_or_aborted_leaves_no_trace() {
    with_pool(1, |pool| async move {
        let failed = transfer(&pool, 1, async { Err(Error::RowNotFound) }).await;
        assert!(matches!(failed, Err(Error::RowNotFound)), "{failed:?}");
        let dropped = transfer(&pool, 2, std::future::pending());
        timeout(Duration::from_millis(20), dropped)
            .await
            .unwrap_err();
        let (reached, was_reached) = ringway::sync::oneshot::channel();
        let task = ringway::spawn({
            let pool = pool.clone();
            async move {
                let last = async {
                    reached.send(()).unwrap();
                    std::future::pending().await
                };
                transfer(&pool, 4, last).await
            }
        });
        was_reached.await.unwrap();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        // By the one connection, which each of them has given back.
        assert_eq!(amount(&pool, 0).await, 1000);
        transfer(&pool, 8, async { Ok(()) }).await.unwrap();
        assert_eq!(amount(&pool, 1).await, 1008);
    });
}

#[test]
fn a_query_that_is_cancelled_gives_its_connection_back() {
    with_pool(1, |pool| async move {
        let endless = sqlx::query(ENDLESS).fetch_all(&pool);
        timeout(Duration::from_millis(20), endless)
            .await
            .unwrap_err();
        assert_eq!(amount(&pool, 0).await, 1000);
        let mut rows = sqlx::query(ENDLESS).fetch(&pool);
        for expected in 1..=1_000_i64 {
            let row = rows.try_next().await.unwrap().expect("there is no last");
            assert_eq!(row.get::<i64, _>(0), expected);
        }
        drop(rows);
        assert_eq!(amount(&pool, 1).await, 1000);
    });
}

/// A pool of one connection to the same data that soon gives up waiting, and the connection. As soon as the machine lets it
/// make a connection in that time.
async fn impatient_pool(pool: &SqlitePool) -> (SqlitePool, PoolConnection<Sqlite>) {
    let mut patience = Duration::from_millis(20);
    loop {
        let options = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(patience);
        let connect = (*pool.connect_options()).clone();
        if let Ok(impatient) = options.connect_with(connect).await
            && let Ok(held) = impatient.acquire().await
        {
            return (impatient, held);
        }
        patience *= 2;
        assert!(patience < Duration::from_secs(10), "no connection at all");
    }
}

#[test]
fn who_waits_too_long_for_a_connection_is_told_and_others_are_not() {
    with_pool(1, |pool| async move {
        let (impatient, held) = impatient_pool(&pool).await;
        let late = impatient.acquire().await;
        assert!(matches!(late, Err(Error::PoolTimedOut)), "{late:?}");
        // Who waits with more patience has it when it is given back, by a task of tokio's.
        let held_meanwhile = pool.acquire().await.unwrap();
        let waiting = ringway::spawn({
            let pool = pool.clone();
            async move { amount(&pool, 0).await }
        });
        drop((held, held_meanwhile));
        assert_eq!(waiting.await.unwrap(), 1000);
        impatient.close().await;
    });
}
