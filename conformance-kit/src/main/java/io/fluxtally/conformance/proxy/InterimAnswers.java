package io.fluxtally.conformance.proxy;

import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpStatusClass;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.ReferenceCountUtil;

/** Drops what a provider answers before its answer, such as 103, which Reactor Netty takes for the answer. For one channel. */
final class InterimAnswers extends ChannelInboundHandlerAdapter {

    private boolean interim;

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        if (message instanceof HttpResponse head) {
            // 101 is the last one of its protocol, and 100 is known.
            int status = head.status().code();
            interim = status > 101 && HttpStatusClass.INFORMATIONAL.contains(status);
        }
        if (!interim) {
            context.fireChannelRead(message);
            return;
        }
        interim = !(message instanceof LastHttpContent);
        ReferenceCountUtil.release(message);
        // Nobody above knows that there is more to ask for.
        context.read();
    }
}
