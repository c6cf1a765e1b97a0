package io.fluxtally.ledger.reconcile;

/** Is told how far a long reading has come, on the thread that reads; often, so it should be quick. */
@FunctionalInterface
public interface ProgressListener {

    /** A listener that does nothing. */
    ProgressListener NONE = (what, done) -> {};

    /**
     * Some more is done.
     *
     * @param what what is being read, such as the name of a file
     * @param done how many lines or records of it were read
     */
    void progress(String what, long done);
}
