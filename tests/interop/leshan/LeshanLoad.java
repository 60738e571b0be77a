// A LwM2M server on Leshan's libraries with their defaults, registrations in memory, which takes a load and says what it costs:
// java -cp 'DIRECTORY/*' LeshanLoad.java PORT. Each line of its standard input is answered with the CPU seconds used so far.
import com.sun.management.OperatingSystemMXBean;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.net.InetSocketAddress;
import org.eclipse.leshan.core.endpoint.Protocol;
import org.eclipse.leshan.server.LeshanServer;
import org.eclipse.leshan.server.LeshanServerBuilder;
import org.eclipse.leshan.transport.californium.server.endpoint.CaliforniumServerEndpointsProvider;
import org.eclipse.leshan.transport.californium.server.endpoint.coap.CoapServerProtocolProvider;

public class LeshanLoad {
    public static void main(String[] args) throws Exception {
        var endpoints = new CaliforniumServerEndpointsProvider.Builder(new CoapServerProtocolProvider());
        endpoints.addEndpoint(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), Protocol.COAP);
        LeshanServerBuilder builder = new LeshanServerBuilder();
        builder.setEndpointsProviders(endpoints.build());
        LeshanServer server = builder.build();
        server.start();
        System.out.println("ready");
        var machine = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        var input = new BufferedReader(new InputStreamReader(System.in));
        while (input.readLine() != null) System.out.println("cpu " + machine.getProcessCpuTime() / 1e9);
        server.destroy();
        System.exit(0);
    }
}
