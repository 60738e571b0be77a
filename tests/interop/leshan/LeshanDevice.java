// A device on Leshan's client libraries with a Firmware Update object. Says on stdout what it did; ends with its stdin.
// Arguments: the server's URI, the endpoint name, the version that the image brings, pull or push; then nothing, or the
// length of its Connection ID (- = none), and psk, rpk or x509 with identity and key, or public key or certificate, private
// key and what the server shows, octets in hex. With "bootstrap-" in front it is what the device begins with. A line on
// stdin makes it update its registration.
import java.net.InetAddress;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.eclipse.californium.core.CoapClient;
import org.eclipse.californium.core.CoapResponse;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.leshan.client.LeshanClient;
import org.eclipse.leshan.client.LeshanClientBuilder;
import org.eclipse.leshan.client.object.Security;
import org.eclipse.leshan.client.object.Server;
import org.eclipse.leshan.client.resource.BaseInstanceEnabler;
import org.eclipse.leshan.client.resource.ObjectsInitializer;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;
import org.eclipse.leshan.transport.californium.client.endpoint.CaliforniumClientEndpoint;
import org.eclipse.leshan.transport.californium.client.endpoint.CaliforniumClientEndpointsProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coap.CoapClientProtocolProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coaps.CoapsClientProtocolProvider;

public class LeshanDevice {
    static final int LARGEST_IMAGE_BYTES = 1 << 20;
    static final ScheduledExecutorService LATER = Executors.newSingleThreadScheduledExecutor();
    static final DeviceInstance device = new DeviceInstance();
    static volatile String version = "1.0.0";
    static String newVersion;
    static long method;
    static LeshanClient client;

    public static void main(String[] args) throws Exception {
        ObjectsInitializer objects = new ObjectsInitializer();
        String mode = args.length > 5 ? args[5] : "none";
        objects.setInstancesForObject(0, security(mode, args));
        if (mode.startsWith("bootstrap-")) objects.setClassForObject(1, Server.class);
        else objects.setInstancesForObject(1, new Server(1, 300L));
        newVersion = args[2];
        method = args[3].equals("push") ? 1 : 0;
        objects.setInstancesForObject(3, device);
        objects.setInstancesForObject(5, new Firmware());

        CaliforniumClientEndpointsProvider.Builder endpoints =
            new CaliforniumClientEndpointsProvider.Builder(new CoapClientProtocolProvider(), new CoapsClientProtocolProvider());
        Configuration configuration = large(endpoints.createDefaultConfiguration());
        if (args.length > 4 && !args[4].equals("-"))
            configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, Integer.parseInt(args[4]));
        endpoints.setConfiguration(configuration);
        endpoints.setClientAddress(InetAddress.getByName("127.0.0.1"));
        LeshanClientBuilder builder = new LeshanClientBuilder(args[1]);
        builder.setEndpointsProviders(endpoints.build());
        builder.setObjects(objects.createAll());
        client = builder.build();
        client.start();
        System.out.println("ready");
        for (int octet = System.in.read(); octet >= 0; octet = System.in.read())
            if (octet == '\n') client.getRegisteredServers().values().forEach(client::triggerRegistrationUpdate);
        client.destroy(true);
        System.exit(0);
    }

    static Security security(String mode, String[] args) {
        if (mode.equals("none")) return Security.noSec(args[0], 1);
        byte[][] octets = new byte[3][];
        for (int at = mode.endsWith("psk") ? 7 : 6; at < args.length; at++) octets[at - 6] = HexFormat.of().parseHex(args[at]);
        return switch (mode) {
            case "psk" -> Security.psk(args[0], 1, args[6].getBytes(), octets[1]);
            case "rpk" -> Security.rpk(args[0], 1, octets[0], octets[1], octets[2]);
            case "x509" -> Security.x509(args[0], 1, octets[0], octets[1], octets[2]);
            case "bootstrap-psk" -> Security.pskBootstrap(args[0], args[6].getBytes(), octets[1]);
            default -> throw new IllegalArgumentException(mode);
        };
    }

    /** Over the session that the device has with its server, where that is secured. */
    static CoapEndpoint endpointFor(String uri) {
        if (uri.startsWith("coap:"))
            return CoapEndpoint.builder().setConfiguration(large(Configuration.createStandardWithoutFile())).build();
        LwM2mServer server = client.getRegisteredServers().values().iterator().next();
        return ((CaliforniumClientEndpoint) client.getEndpoint(server)).getCoapEndpoint();
    }

    static Configuration large(Configuration configuration) {
        return configuration.set(CoapConfig.MAX_RESOURCE_BODY_SIZE, LARGEST_IMAGE_BYTES);
    }

    public static class DeviceInstance extends BaseInstanceEnabler {
        @Override
        public ReadResponse read(LwM2mServer server, int resource) {
            switch (resource) {
                case 0: return ReadResponse.success(resource, "Example");
                case 1: return ReadResponse.success(resource, "Pump");
                case 3: return ReadResponse.success(resource, version);
                case 16: return ReadResponse.success(resource, "U");
                default: return ReadResponse.notFound();
            }
        }
    }

    public static class Firmware extends BaseInstanceEnabler {
        volatile long state = 0;
        volatile long result = 0;

        @Override
        public ReadResponse read(LwM2mServer server, int resource) {
            switch (resource) {
                case 1: return ReadResponse.success(resource, "");
                case 3: return ReadResponse.success(resource, state);
                case 5: return ReadResponse.success(resource, result);
                case 9: return ReadResponse.success(resource, method);
                default: return ReadResponse.notFound();
            }
        }

        @Override
        public WriteResponse write(LwM2mServer server, boolean replace, int resource, LwM2mResource value) {
            if (resource == 0) {
                received((byte[]) value.getValue());
                return WriteResponse.success();
            }
            if (resource != 1) return WriteResponse.notFound();
            String uri = (String) value.getValue();
            move(uri.isEmpty() ? 0 : 1, 0);
            if (!uri.isEmpty()) LATER.execute(() -> fetch(uri));
            return WriteResponse.success();
        }

        @Override
        public ExecuteResponse execute(LwM2mServer server, int resource, Arguments arguments) {
            if (resource != 2 || state != 2) return ExecuteResponse.methodNotAllowed();
            move(3, 0);
            LATER.schedule(() -> {
                version = newVersion;
                device.fireResourceChange(3);
                move(0, 1);
            }, 200, TimeUnit.MILLISECONDS);
            return ExecuteResponse.success();
        }

        void fetch(String uri) {
            try {
                CoapClient client = new CoapClient(uri);
                client.setEndpoint(endpointFor(uri));
                CoapResponse response = client.get();
                if (response == null || !response.isSuccess()) move(0, 4);
                else received(response.getPayload());
            } catch (Exception e) {
                move(0, 4);
            }
        }

        void received(byte[] image) {
            try {
                byte[] digest = MessageDigest.getInstance("SHA-256").digest(image);
                System.out.println("image " + image.length + " " + HexFormat.of().formatHex(digest));
            } catch (java.security.NoSuchAlgorithmException e) {
                throw new IllegalStateException(e);
            }
            move(2, 0);
        }

        void move(long state, long result) {
            this.result = result;
            this.state = state;
            fireResourceChange(5);
            fireResourceChange(3);
        }
    }
}
