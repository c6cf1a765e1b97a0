package io.fluxtally.usage.reactor;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import reactor.core.publisher.Flux;

/** A listener that writes down what it hears, on a page that others can write on too. */
class Recorder<T> implements StreamListener<T> {

    final List<String> heard;

    Recorder() {
        this(new CopyOnWriteArrayList<>());
    }

    Recorder(List<String> page) {
        this.heard = page;
    }

    Flux<T> on(Flux<T> source) {
        return FluxTap.listen(source, context -> this);
    }

    @Override
    public void onNext(T element) {
        heard.add("heard " + element);
    }

    @Override
    public void onComplete() {
        heard.add("heard complete");
    }

    @Override
    public void onError(Throwable error) {
        heard.add("heard error " + error.getMessage());
    }

    @Override
    public void onCancel() {
        heard.add("heard cancel");
    }
}
