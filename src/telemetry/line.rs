//! Lines of the log, with the id of the request at hand.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use crate::request;

/// Writes lines as another format does, and `request_id` at their end if the thread works on a request.
pub(super) struct WithRequestId<F> {
    inner: F,
    /// What a line ends with, and what stands around the id before that.
    end: &'static str,
    around: [&'static str; 2],
}

impl<F> WithRequestId<F> {
    pub(super) fn text(inner: F) -> Self {
        Self {
            inner,
            end: "\n",
            around: [" request_id=", ""],
        }
    }

    pub(super) fn json(inner: F) -> Self {
        Self {
            inner,
            end: "}\n",
            around: [",\"request_id\":\"", "\""],
        }
    }
}

impl<F, S, N> FormatEvent<S, N> for WithRequestId<F>
where
    F: FormatEvent<S, N>,
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(request) = request::current() else {
            return self.inner.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        match line.strip_suffix(self.end) {
            // Nothing in an id needs escapes.
            Some(line) => {
                let [before, after] = self.around;
                write!(writer, "{line}{before}{}{after}{}", request.id(), self.end)
            }
            None => writer.write_str(&line),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::Span;
    use tracing_subscriber::{Layer, layer::SubscriberExt as _};

    use super::*;
    use crate::request::Request;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(layer: impl Fn(Lines) -> Box<dyn Layer<tracing_subscriber::Registry> + Send + Sync>) -> String {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(layer(lines.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("before");
            let request = Request::new("my-id".to_owned(), Span::none());
            let _working = request.enter();
            tracing::info!(answer = 42, "within");
        });
        let lines = lines.0.lock().unwrap().clone();
        String::from_utf8(lines).unwrap()
    }

    #[test]
    fn lines_have_the_id_of_their_request() {
        let text = logged(|lines| {
            let format = tracing_subscriber::fmt::format().with_ansi(false);
            let layer = tracing_subscriber::fmt::layer().with_writer(move || lines.clone());
            Box::new(layer.event_format(WithRequestId::text(format)))
        });
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].ends_with(" before"), "{text}");
        assert!(lines[1].ends_with(" within answer=42 request_id=my-id"), "{text}");
        let json = logged(|lines| {
            let format = tracing_subscriber::fmt::format().json().flatten_event(true);
            let layer = tracing_subscriber::fmt::layer()
                .json()
                .with_writer(move || lines.clone());
            Box::new(layer.event_format(WithRequestId::json(format)))
        });
        let lines: Vec<serde_json::Value> = json
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(lines[0].get("request_id").is_none(), "{json}");
        assert_eq!(
            (&lines[1]["answer"], &lines[1]["request_id"]),
            (&42.into(), &"my-id".into())
        );
    }
}
