// A device on Leshan's client libraries with a Firmware Update object. Says on stdout what it did; ends with its stdin.
// Arguments: the server's URI, the endpoint name, the version that the image brings, pull or push.
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
import org.eclipse.leshan.transport.californium.client.endpoint.CaliforniumClientEndpointsProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coap.CoapClientProtocolProvider;

public class LeshanDevice {
    static final int LARGEST_IMAGE_BYTES = 1 << 20;
    static final ScheduledExecutorService LATER = Executors.newSingleThreadScheduledExecutor();
    static final DeviceInstance device = new DeviceInstance();
    static volatile String version = "1.0.0";
    static String newVersion;
    static long method;

    public static void main(String[] args) throws Exception {
        ObjectsInitializer objects = new ObjectsInitializer();
        objects.setInstancesForObject(0, Security.noSec(args[0], 1));
        objects.setInstancesForObject(1, new Server(1, 300L));
        newVersion = args[2];
        method = args[3].equals("push") ? 1 : 0;
        objects.setInstancesForObject(3, device);
        objects.setInstancesForObject(5, new Firmware());

        CaliforniumClientEndpointsProvider.Builder endpoints =
            new CaliforniumClientEndpointsProvider.Builder(new CoapClientProtocolProvider());
        endpoints.setConfiguration(large(endpoints.createDefaultConfiguration()));
        LeshanClientBuilder builder = new LeshanClientBuilder(args[1]);
        builder.setEndpointsProviders(endpoints.build());
        builder.setObjects(objects.createAll());
        LeshanClient client = builder.build();
        client.start();
        System.out.println("ready");
        while (System.in.read() >= 0) {}
        client.destroy(true);
        System.exit(0);
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
                client.setEndpoint(CoapEndpoint.builder().setConfiguration(large(Configuration.createStandardWithoutFile())).build());
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
