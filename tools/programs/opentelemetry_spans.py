# /// script
# dependencies = ["opentelemetry-sdk"]
# ///
"""OpenTelemetry: spans of threads, which a thread exports in batches."""

from __future__ import annotations

import threading

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(
    BatchSpanProcessor(exporter, max_queue_size=10_000, schedule_delay_millis=20)
)
tracer = provider.get_tracer("shop")


def work(index: int) -> None:
    for number in range(200):
        with tracer.start_as_current_span(f"{index} {number}") as span:
            span.set_attribute("number", number)


threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
provider.shutdown()
spans = exporter.get_finished_spans()
print("spans", len(spans), "different", len({span.name for span in spans}))
