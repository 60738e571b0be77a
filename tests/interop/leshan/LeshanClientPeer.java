import java.net.InetAddress;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Scanner;
import org.eclipse.leshan.client.LeshanClient;
import org.eclipse.leshan.client.LeshanClientBuilder;
import org.eclipse.leshan.client.object.Security;
import org.eclipse.leshan.client.object.Server;
import org.eclipse.leshan.client.resource.BaseInstanceEnabler;
import org.eclipse.leshan.client.resource.ObjectsInitializer;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;
import org.eclipse.leshan.transport.californium.client.endpoint.CaliforniumClientEndpointsProvider;

/** A device on Leshan's libraries. Arguments: the server's URI and the endpoint's name. A line on stdin is its new time zone. */
public class LeshanClientPeer {
    public static void main(String[] args) throws Exception {
        Pump pump = new Pump();
        ObjectsInitializer objects = new ObjectsInitializer();
        objects.setInstancesForObject(0, Security.noSec(args[0], 1));
        objects.setInstancesForObject(1, new Server(1, 300));
        objects.setInstancesForObject(3, pump);
        objects.setDummyInstancesForObject(2);
        LeshanClientBuilder builder = new LeshanClientBuilder(args[1]);
        builder.setObjects(objects.createAll());
        builder.setEndpointsProviders(new CaliforniumClientEndpointsProvider.Builder()
            .setClientAddress(InetAddress.getByName("127.0.0.1")).build());
        LeshanClient client = builder.build();
        client.start();
        Scanner input = new Scanner(System.in);
        while (input.hasNextLine()) pump.setTimezone(input.nextLine());
        client.destroy(true);
        System.exit(0);
    }

    public static class Pump extends BaseInstanceEnabler {
        private String offset = "+00:00";
        private String timezone = "Etc/UTC";

        void setTimezone(String value) {
            timezone = value;
            fireResourceChange(15);
        }

        @Override
        public ReadResponse read(LwM2mServer server, int resource) {
            return switch (resource) {
                case 0 -> ReadResponse.success(0, "Leshan");
                case 9 -> ReadResponse.success(9, 87);
                case 11 -> ReadResponse.success(11, Map.of(0, 0L), ResourceModel.Type.INTEGER);
                case 14 -> ReadResponse.success(14, offset);
                case 15 -> ReadResponse.success(15, timezone);
                case 16 -> ReadResponse.success(16, "U");
                default -> super.read(server, resource);
            };
        }

        @Override
        public WriteResponse write(LwM2mServer server, boolean replace, int resource, LwM2mResource value) {
            if (resource != 14) return super.write(server, replace, resource, value);
            offset = (String) value.getValue();
            fireResourceChange(14);
            return WriteResponse.success();
        }

        @Override
        public ExecuteResponse execute(LwM2mServer server, int resource, Arguments arguments) {
            return resource == 4 ? ExecuteResponse.success() : super.execute(server, resource, arguments);
        }

        @Override
        public List<Integer> getAvailableResourceIds(ObjectModel model) {
            return Arrays.asList(0, 4, 9, 11, 14, 15, 16);
        }
    }
}
